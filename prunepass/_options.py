"""The options of :func:`prunepass.prune` beyond budget and score: their types for a checker, and their defaults.

The forms of options, to hold values against, are those of a sweep too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any, TypedDict

from .backends import Backend
from .ir import UsageError
from .passes import Observer, Pass
from .targets import Target

_ADVICE = "help(prunepass.prune) lists them"
_POLICY = ("floor", "mode", "compensate")


class PruneOptions(TypedDict, total=False):
    """The keywords of :func:`prunepass.prune`, each optional; explained there."""

    align: int | None
    target: str | os.PathLike[str] | Target | None
    keep: Sequence[Any]
    free: Sequence[str]
    pipeline: str | Sequence[Pass] | None
    form: str
    inplace: bool
    backend: str | Backend | None
    threads: int
    allow_slower: bool
    observers: Sequence[Observer]
    task: Any
    floor: float
    mode: str
    compensate: bool


@dataclass(frozen=True)
class Wanted:
    """The same with defaults; ``policy`` holds what was given of the options of the default pipeline."""

    align: int | None = None
    target: str | os.PathLike[str] | Target | None = None
    keep: Sequence[Any] = ()
    free: Sequence[str] = ()
    pipeline: str | Sequence[Pass] | None = None
    form: str = "module"
    inplace: bool = False
    backend: str | Backend | None = None
    threads: int = 1
    allow_slower: bool = False
    observers: Sequence[Observer] = ()
    task: Any = None
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
    for name, value in options.items():
        if name in _FORMS:
            of_form(name, value)
    return Wanted(**rest, policy=policy)


def of_form(name: str, value: Any, owner: str = "prune") -> None:
    """Hold the value of an option against what it can be: most other types would pass for something else.

    Raises:
        UsageError: it has another type.
    """
    fits, form = _FORMS[name]
    if not fits(value):
        raise UsageError(
            f"{name} is {form}, not {value!r}", advice=f"help(prunepass.{owner}) lists its options"
        )


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _some(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and all(map(fits, value))
    )


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: all(hasattr(value, name) for name in names)


def _either(*fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fit(value) for fit in fits)


_NONE = _is(type(None))
_TEXT, _FLAG = (_is(str), "text"), (_is(bool), "True or False")
# A text is a sequence of letters, "no" is true, and True is 1: each would be taken for what was not meant.
_FORMS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("budget", "score", "form", "mode", "kind", "accuracy"), _TEXT),
    **dict.fromkeys(("inplace", "allow_slower", "compensate"), _FLAG),
    "align": (_either(_NONE, _is(Integral)), "a whole number"),
    **dict.fromkeys(("threads", "workers"), (_is(int), "a whole number")),
    **dict.fromkeys(("floor", "duration"), (_is(int, float), "a number")),
    "budgets": (_some(_is(int, float)), "a list of fractions"),
    "scores": (_some(_is(str)), "a list of scores"),
    "aligns": (_some(_is(int)), "a list of whole numbers"),
    "keep": (_some(_either(_is(str, type), _has("named_modules"))), "a list of names, modules or classes"),
    "free": (_some(_is(str)), "a list of names of outputs"),
    "observers": (_some(_has("before", "after")), "a list of observers"),
    "target": (_either(_NONE, _is(str, os.PathLike, Target)), "a name, a path or a Target"),
    "backend": (_either(_NONE, _is(str), _has("name", "unavailable", "build")), "a name or a backend"),
    "pipeline": (_either(_NONE, _is(str), _some(_has("name"))), "text or a list of passes"),
}
