"""A plan from layer names and channel numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from ..ir import Atom, Dim, Fixed, Index, UsageError, kept_index, leaves, positions
from .coupling import Coupling, channels_of

_ADVICE = "give the numbers of the layer's output channels, from 0"


def removed_by_layer(coupling: Coupling, given: Mapping[str, Iterable[int]]) -> dict[str, Index]:
    """Channels to remove by group name, from numbers of output channels by layer.

    Layers of one group add up: a channel goes where any of them names it.

    Raises:
        UsageError: a layer is not there or ambiguous; a channel is pinned, not there, or goes only with others.
    """
    names = {group.atom: group.name for group in coupling.prunable}
    remove: dict[str, Index] = {}
    for layer, numbers in given.items():
        dim = channels_of(coupling, layer)
        for leaf, index in _removed(layer, dim, _numbers(layer, dim, numbers)).items():
            if leaf not in names:
                raise UsageError(
                    f"nothing reads the channels of '{layer}', so they are no group", where=layer
                )
            before = remove.get(names[leaf], np.zeros(0, np.int64))
            remove[names[leaf]] = np.union1d(before, index)
    return remove


def _numbers(layer: str, dim: Dim, given: Any) -> Index:
    whole = isinstance(given, Iterable) and not isinstance(given, (str, bytes))
    numbers: list[Any] = list(given) if whole else []
    if not whole or not all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers):
        raise UsageError(f"channels of '{layer}' are whole numbers, not {given!r}", advice=_ADVICE)
    outside = [int(number) for number in numbers if not 0 <= number < dim.size]
    if outside:
        raise UsageError(
            f"'{layer}' has {dim.size} channels, there is no channel {outside[0]}", advice=_ADVICE
        )
    return np.unique(np.asarray(numbers, dtype=np.int64))


def _removed(layer: str, dim: Dim, numbers: Index) -> dict[Atom, Index]:
    """Indices of each index space that go, so that these entries of the dim go and no others."""
    marked = np.zeros(dim.size, dtype=bool)
    marked[numbers] = True
    kept: dict[Atom, Index] = {}
    for leaf, places in positions(dim).items():
        stays = np.zeros(leaf.size, dtype=bool)
        for entries, own in places:
            stays[own[~marked[entries]]] = True
        kept[leaf] = np.flatnonzero(stays)
    left = np.zeros(dim.size, dtype=bool)
    left[kept_index(dim, kept)] = True
    short = np.flatnonzero(left & marked)
    if len(short):
        raise _together(layer, dim, int(short[0]), marked)
    went = {leaf: np.setdiff1d(np.arange(leaf.size), index) for leaf, index in kept.items()}
    return {leaf: index for leaf, index in went.items() if len(index)}


def _together(layer: str, dim: Dim, number: int, marked: Index) -> UsageError:
    """The reason why a channel cannot go alone."""
    others = []
    for places in positions(dim).values():
        for entries, own in places:
            if number in entries:
                same = own == own[entries == number][0]
                others.append(sorted({int(entry) for entry in entries[same] if not marked[entry]}))
    if not others:
        pins = dict.fromkeys(str(pin) for leaf in leaves(dim) if isinstance(leaf, Fixed) for pin in leaf.pins)
        why = "; ".join(pins) or "it is no index space of its own"
        return UsageError(
            f"channel {number} of '{layer}' is pinned: {why}", advice="leave it, or lift the pin"
        )
    few = min(others, key=len)
    more = f" and {len(few) - 8} more" if len(few) > 8 else ""
    return UsageError(
        f"channel {number} of '{layer}' goes only together with {', '.join(map(str, few[:8]))}{more}",
        advice="name all of them",
    )
