"""Lazy tables of what can be chosen by name, built in or added by other distributions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ..ir import UsageError


@dataclass(frozen=True)
class Table:
    """Names to objects, imported at first use.

    Attributes:
        kind: what the names are, for messages.
        places: name -> ``module:attribute`` relative to this package, or an entry point's value.
    """

    kind: str
    places: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        """The object called ``name``; raises UsageError with the known names."""
        if name not in self.places:
            raise UsageError(f"there is no {self.kind} '{name}'", advice=f"there are {', '.join(self)}")
        module, _, attribute = self.places[name].partition(":")
        package = __package__ if module.startswith(".") else None
        return getattr(import_module(module, package), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.places))

    def __contains__(self, name: object) -> bool:
        return name in self.places


def table(kind: str, group: str, builtin: Mapping[str, str]) -> Table:
    """The built-in names and those of the entry point group; a built-in name cannot be taken over."""
    added = {entry.name: entry.value for entry in entry_points(group=group)}
    return Table(kind, {**added, **builtin})


@cache
def passes() -> Table:
    """Passes by name; other distributions add theirs through ``prunepass.passes``."""
    standard = ("couple", "score", "select", "compensate", "cut", "verify")
    builtin = {name: f"._standard:{name.title()}" for name in standard}
    return table("pass", "prunepass.passes", builtin)
