"""Constant indices along one axis, as rows of segments: what is moved in one piece keeps its identity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ._dims import Dim, atom, prod, total
from ._graph import Array

# Shorter pieces on average than this say nothing about channels: every entry would be one by itself.
_SHORTEST = 2


def looked_up(index: Array, size: int) -> tuple[Dim, Dim] | None:
    """Dims of an axis of ``size`` entries and of what a constant index takes of it, in order.

    An index that writes rows as columns is a Prod whose parts change place; any other one is a Sum of the
    pieces that it takes whole. None where it takes entries one by one, or counts from the end.
    """
    flat = np.ravel(index)
    if size < 2 or flat.size < 2 or flat.min() < 0 or flat.max() >= size:
        return None
    return _turned(flat, size) or _pieces(flat, size)


def _turned(flat: Array, size: int) -> tuple[Dim, Dim] | None:
    """Rows that become columns: how channels are shuffled between groups."""
    rows = size // int(flat[1]) if flat[0] == 0 and flat[1] > 1 else 0
    if flat.size != size or rows < 2 or size % rows:
        return None
    if not np.array_equal(flat, np.arange(size).reshape(rows, -1).T.ravel()):
        return None
    outer, inner = atom(rows), atom(size // rows)
    return prod(outer, inner), prod(inner, outer)


def _pieces(flat: Array, size: int) -> tuple[Dim, Dim] | None:
    """Runs of entries that stay side by side, cut wherever another run begins or ends."""
    breaks = np.flatnonzero(np.diff(flat) != 1) + 1
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(flat, breaks)]
    ends = sorted({0, size, *(end for run in runs for end in run)})
    if len(runs) * _SHORTEST > flat.size or (len(ends) - 1) * _SHORTEST > size:
        return None
    parts = {start: atom(stop - start) for start, stop in pairwise(ends)}
    taken = (parts[at] for start, stop in runs for at in ends if start <= at < stop)
    return total(*parts.values()), total(*taken)
