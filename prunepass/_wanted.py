"""The options of :func:`prunepass.prune` beyond budget and score: their types for a checker, and their defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from ._targets import Target
from .backends import Backend
from .ir import UsageError
from .passes import Observer, Pass

_ADVICE = "help(prunepass.prune) lists them"
_POLICY = ("floor", "mode", "compensate")


class PruneOptions(TypedDict, total=False):
    """The keywords of :func:`prunepass.prune`, each optional; explained there."""

    align: int | None
    target: str | os.PathLike[str] | Target | None
    keep: Sequence[str]
    pipeline: str | Sequence[Pass] | None
    form: str
    inplace: bool
    backend: str | Backend | None
    threads: int
    allow_slower: bool
    observers: Sequence[Observer]
    floor: float
    mode: str
    compensate: bool


@dataclass(frozen=True)
class Wanted:
    """The same with defaults; ``policy`` holds what was given of the options of the default pipeline."""

    align: int | None = None
    target: str | os.PathLike[str] | Target | None = None
    keep: Sequence[str] = ()
    pipeline: str | Sequence[Pass] | None = None
    form: str = "module"
    inplace: bool = False
    backend: str | Backend | None = None
    threads: int = 1
    allow_slower: bool = False
    observers: Sequence[Observer] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)


def wanted(options: Mapping[str, Any]) -> Wanted:
    """Read keywords.

    Raises:
        UsageError: there is no such option.
    """
    policy = {name: options[name] for name in _POLICY if name in options}
    rest = {name: value for name, value in options.items() if name not in policy}
    unknown = rest.keys() - ({one.name for one in fields(Wanted)} - {"policy"})
    if unknown:
        raise UsageError(f"prune has no option {', '.join(sorted(unknown))}", advice=_ADVICE)
    return Wanted(**rest, policy=policy)
