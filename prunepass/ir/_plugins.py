"""The plug-in table: what can be chosen by name, built in or added by other distributions.

A distribution adds to a table through its entry point group: the entry's name is the name to choose by, its
object what is chosen. Whatever is wrong with an entry is one kind of error, which names the distribution.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from numbers import Integral, Real
from typing import Any

from ._errors import PrunepassError, UsageError


def anything(found: Any) -> str:
    """The check of a table that takes every object."""
    return ""


def configurable(kind: Any) -> str:
    """The check of a table of dataclasses: each has a name, and its fields are its options."""
    if not isinstance(kind, type) or not is_dataclass(kind):
        return "it is no dataclass whose fields are its options"
    return "" if isinstance(getattr(kind, "name", None), str) else "it has no name"


_PLAIN: Mapping[type, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
}


def check_options(made: Any) -> None:
    """Hold each option of a dataclass against the type of its default, where that is plain; called when it is made.

    Raises:
        UsageError: one has another type.
    """
    for one in fields(made):
        value, (kind, said) = getattr(made, one.name), _PLAIN.get(type(one.default), (object, ""))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (Integral, Real)):
            named = getattr(made, "name", type(made).__name__)
            raise UsageError(f"option {one.name} of '{named}' is {said}, not {value!r}")


@dataclass(frozen=True)
class Table:
    """Names to objects, imported at first use.

    Attributes:
        kind: what the names are, for messages.
        group: the entry point group of other distributions.
        builtin: name to ``.module:attribute`` within ``package``.
        package: the package that has the built-in ones, ``__package__`` where the table is made.
        flaw: why an object is none of this kind; empty where it is one.
        error: what a distribution that cannot be used raises.
    """

    kind: str
    group: str
    builtin: Mapping[str, str]
    package: str | None
    flaw: Callable[[Any], str] = anything
    error: type[PrunepassError] = UsageError

    def __iter__(self) -> Iterator[str]:
        """All known names in order, whether they load or not."""
        return iter(sorted({*self.builtin, *(entry.name for entry in self._entries())}))

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __getitem__(self, name: str) -> Any:
        """The object called ``name``.

        Raises:
            UsageError: there is none of that name.
            PrunepassError: of the class ``error``; it is not clear which one is meant, or its distribution is broken.
        """
        entries = self._named(name)
        if name in self.builtin:
            if entries:
                raise self.refusal(name, "has the name of a built-in one")
            module, _, attribute = self.builtin[name].partition(":")
            return getattr(import_module(module, self.package), attribute)
        if not entries:
            raise UsageError(
                f"there is no {self.kind} '{name}'", advice=f"there are {', '.join(self) or 'none'}"
            )
        if len(entries) > 1:
            owners = " and ".join(map(_owner, entries))
            raise self.error(f"{self.kind} '{name}' is in {owners}", advice="uninstall all but one of them")
        return self._loaded(entries[0])

    def refusal(self, name: str, why: str) -> PrunepassError:
        """The error that tells what is wrong with ``name``, whose it is and what to do about it."""
        owner = " and ".join(map(_owner, self._named(name))) or "prunepass"
        text = f"{self.kind} '{name}' of {owner} {why}"
        return self.error(text, advice="install another version of it, or uninstall it")

    def _loaded(self, entry: EntryPoint) -> Any:
        try:
            found = entry.load()
        except (Exception, SystemExit) as error:  # it is the code of others
            reason = f"does not load: {type(error).__name__}: {error}"
            raise self.refusal(entry.name, reason) from error
        flaw = self.flaw(found)
        if flaw:
            raise self.refusal(entry.name, f"is no {self.kind}: {flaw}")
        return found

    def _named(self, name: str) -> list[EntryPoint]:
        """Entries called ``name``, one for each object that they may mean."""
        return list({entry.value: entry for entry in self._entries() if entry.name == name}.values())

    def _entries(self) -> tuple[EntryPoint, ...]:
        return _installed(self.group, tuple(sys.path))


# Every look reads the metadata of all distributions; what is installed changes with the path only.
@lru_cache(maxsize=64)
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _owner(entry: EntryPoint) -> str:
    """The distribution of an entry with its version."""
    dist = entry.dist
    return f"'{dist.name} {dist.version}'" if dist is not None else f"'{entry.value}'"
