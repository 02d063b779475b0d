"""Spellings of option values in files: the type of each kind, and the tables and lists that stand for a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from .._options import Option
from ..ir import UsageError, parse_steps

_RATIO = "write --ratio 'PATTERN=FRACTION', with a fraction kept in (0, 1]"
_TEXT = {"type": "string"}
_LIMIT = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _TEXT]}


@dataclass(frozen=True)
class Spelling:
    """The spelling of one kind of option in files and in ``--set``.

    Attributes:
        type: of the value, for msgspec.
        entries: a text as the table that says the same; None where no table may stand.
        value: a table or a list as what ``type`` is.
        schema: of the table or list that may stand for a text.
    """

    type: Callable[[Option], Any]
    entries: Callable[[Any], dict[str, Any]] | None = None
    value: Callable[[Any], Any] = lambda given: given
    schema: Mapping[str, Any] | None = None


def spelling(option: Option) -> Spelling:
    """The spelling of an option's kind."""
    return _SPELLINGS[option.form.kind]


def _text(option: Option) -> Any:
    return Literal[option.choices] if option.choices else str


def _bounded(kind: type) -> Callable[[Option], Any]:
    def bounded(option: Option) -> Any:
        return Annotated[kind, msgspec.Meta(ge=option.least, le=option.most)]

    return bounded


def _limits(given: Any) -> dict[str, Any]:
    parts = str(given).replace(" ", "").split(",")
    return {part.partition("=")[0]: part.partition("=")[2] for part in parts}


def _joined_limits(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    return ",".join(f"{kind}={fraction}" for kind, fraction in given.items())


def _ratios(given: Any) -> Any:
    """``PATTERN=FRACTION`` of the command line as a table; a pattern may hold ``=`` of its own."""
    if isinstance(given, Mapping) or not isinstance(given, (tuple, list)):
        return given
    found: dict[str, str] = {}
    for text in map(str, given):
        pattern, _, fraction = text.rpartition("=")
        if not pattern or not _is_fraction(fraction):
            raise UsageError(f"'{text}' is no ratio", advice=_RATIO)
        if found.setdefault(pattern, fraction) != fraction:
            raise UsageError(
                f"'{pattern}' has two ratios, {found[pattern]} and {fraction}", advice="give one"
            )
    return found


def _is_fraction(text: str) -> bool:
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


def _named(key: str) -> Spelling:
    """A name with options; ``key`` is the entry of the table that holds the name."""

    def entries(given: Any) -> dict[str, Any]:
        ((name, options),) = list(parse_steps(str(given)))[:1]
        return {key: name, **options}

    def joined(given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if key not in given:
            raise UsageError(f"a table of options lacks '{key}'", advice=f"write {key} = '...' beside them")
        options = ", ".join(f"{name}={_quoted(entry)}" for name, entry in given.items() if name != key)
        return f"{given[key]}{{{options}}}" if options else str(given[key])

    return Spelling(_text, entries, joined, {"type": "object", "properties": {key: _TEXT}})


def _quoted(entry: Any) -> str:
    return f'"{entry}"' if "," in str(entry) else str(entry)


def _steps(given: Any) -> Any:
    return " | ".join(map(str, given)) if isinstance(given, list) else given


_SPELLINGS: Mapping[str, Spelling] = {
    "text": Spelling(_text),
    "whole": Spelling(_bounded(int)),
    "number": Spelling(_bounded(float)),
    "flag": Spelling(lambda option: bool),
    "texts": Spelling(lambda option: tuple[str, ...]),
    "ratios": Spelling(
        lambda option: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]],
        lambda given: dict(_ratios(given)),
        _ratios,
    ),
    "limits": Spelling(
        _text,
        _limits,
        _joined_limits,
        {"type": "object", "additionalProperties": _LIMIT, "minProperties": 1},
    ),
    "named": _named("name"),
    "scored": _named("metric"),
    "steps": Spelling(_text, None, _steps, {"type": "array", "items": _TEXT}),
}
