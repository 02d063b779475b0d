"""Notes on sizes that did not follow a cut: one for each name and kind of reason, its places counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ._session import UnchangedSize

# Values that one note shows.
_SHOWN = 3


def unchanged_notes(sizes: Iterable[UnchangedSize]) -> list[str]:
    """A line for every attribute or entry, however many layers keep it; each tells its first place."""
    groups: dict[tuple[str, str, str], list[UnchangedSize]] = {}
    for size in sizes:
        groups.setdefault((size.what, _name(size), _kind(size.why)), []).append(size)
    return [_note(group) for group in groups.values()]


def _note(group: Sequence[UnchangedSize]) -> str:
    first = group[0]
    if len(group) == 1:
        return f"{first.what}: {first}"
    values = list(dict.fromkeys(size.value for size in group))
    shown = ", ".join(values[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")
    return f"{first.what}: {_name(first)} = {shown} in {len(group)} places, first {first.place} ({first.why})"


def _name(size: UnchangedSize) -> str:
    return size.place.rpartition(".")[2]


def _kind(why: str) -> str:
    """A reason without the places and numbers that it speaks of."""
    return re.sub(r"#( #)*", "#", re.sub(r"\S*[\d.]\S*", "#", why))
