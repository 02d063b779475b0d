"""Options in text, as :mod:`..ir._steps` parses it, to and from dataclass fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar

from ..ir import Table, UsageError, number_text, parse_steps

T = TypeVar("T")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def build(kind: type[T], options: Mapping[str, str]) -> T:
    """An instance of the dataclass ``kind`` from options in text; a field ``options`` takes the unknown ones.

    Raises:
        UsageError: an option is unknown or has the wrong type.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    rest: dict[str, str] = {}
    for name, text in options.items():
        key = name.replace("-", "_")
        if key in known and key != "options":
            values[key] = convert(known[key], text, kind)
        else:
            rest[key] = text
    if rest and "options" not in known:
        raise UsageError(
            f"'{_label(kind)}' has no option {', '.join(sorted(rest))}",
            advice=f"it has {', '.join(known) or 'none'}",
        )
    if rest:
        values["options"] = rest
    return kind(**values)


def made_by(table: Table, given: Any) -> Any:
    """The object that ``given`` names, with options as in ``name{option=value}``; an object is what it is.

    Raises:
        UsageError: the table has none of that name, or it has no such options.
    """
    if not isinstance(given, str):
        return given
    found = list(parse_steps(given, table.kind))
    if len(found) != 1:
        raise UsageError(f"'{given}' is no {table.kind}", advice="write name or name{option=value, ...}")
    ((name, options),) = found
    return build(table[name], options)


def convert(field: Field[Any], text: str, kind: type) -> Any:
    """The text of one option as the type of its field's default."""
    default = _default(field)
    try:
        if isinstance(default, Mapping):
            return {key.strip(): float(number) for key, _, number in _numbered(text)}
        if isinstance(default, bool):
            return _TRUTH[text.lower()]
        if isinstance(default, (int, float)):
            return type(default)(text)
    except (KeyError, ValueError):
        wanted = "list of name:number" if isinstance(default, Mapping) else type(default).__name__
        raise UsageError(f"option {field.name}={text} of '{_label(kind)}' is no {wanted}") from None
    return text


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default if field.default is not MISSING else None


def _numbered(text: str) -> Iterator[tuple[str, str, str]]:
    """``name:number`` pairs; a name may hold colons of its own."""
    return (part.rpartition(":") for part in text.split(","))


def _label(kind: type) -> str:
    return str(getattr(kind, "name", kind.__name__))


def to_text(step: Any) -> str:
    """A pass in the text form that makes it again; defaults are left out."""
    shown = ", ".join(_shown(step))
    return _label(type(step)) + (f"{{{shown}}}" if shown else "")


def _shown(step: Any) -> Iterator[str]:
    """``option=value`` of each option.

    An object in a field is its name, followed by its own options where the step hands on what it does not know; else
    it is quoted with them.
    """
    known = fields(step) if is_dataclass(step) else ()
    hands_on = any(field.name == "options" for field in known)
    for field in known:
        value = getattr(step, field.name)
        if field.name == "options":
            yield from (f"{key}={_quoted(item)}" for key, item in value.items())
        elif hands_on and hasattr(value, "name"):
            yield f"{field.name}={value.name}"
            yield from _shown(value)
        elif value != _default(field):
            yield f"{field.name}={_quoted(value)}"


def described(value: Any) -> str:
    """An object that is chosen by name, as text: with its options where it has a name, else what its code calls it."""
    if is_dataclass(value) and not isinstance(value, type) and isinstance(getattr(value, "name", None), str):
        return to_text(value)
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    return str(value)


def _quoted(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}:{number_text(number)}" for key, number in value.items())
    text = str(value).lower() if isinstance(value, bool) else described(value)
    return f'"{text}"' if any(mark in text for mark in ",:{") else text
