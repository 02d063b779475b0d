"""Options of a backend: a frozen struct declares them, a mapping from the user fills them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from ..ir import UsageError

T = TypeVar("T", bound=msgspec.Struct)
MOST_THREADS = 1024
"""More than any machine has: an engine would take gigabytes for the threads alone before it failed."""
Threads: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MOST_THREADS)]


def read_options(kind: type[T], options: Mapping[str, object] | None) -> T:
    """An instance of ``kind`` from options by name; text, as command lines give it, is converted.

    Raises:
        UsageError: an option is unknown or has a wrong value.
    """
    known = msgspec.structs.fields(kind)
    unknown = sorted(set(options or ()) - {field.name for field in known})
    advice = "options: " + ", ".join(map(_shown, known))
    if unknown:
        raise UsageError(f"unknown option '{unknown[0]}'", advice=advice)
    try:
        return msgspec.convert(dict(options or {}), kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"wrong option: {error}", advice=advice) from error


def _shown(field: msgspec.structs.FieldInfo) -> str:
    """An option with the words that it takes, where it takes words."""
    if get_origin(field.type) is not Literal:
        return field.name
    return f"{field.name}={'|'.join(map(str, get_args(field.type)))}"
