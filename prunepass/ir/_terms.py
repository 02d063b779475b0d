"""Terms of a weighted sum, told by its rule: the leaves of its weight, and rows of its data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from ._dims import Dim, Dims, Index, leaves
from ._graph import Array
from ._op import Rule


def plain_terms(rule: Rule, data: int, weight: int, x: Array, rows: Index) -> Array:
    """Terms where each position reads its own row of the data."""
    held = parts_of(rule.operands[weight] or ())
    groups, columns = ([leaf for leaf in held if kind_of(rule, data, leaf) == kind] for kind in (0, 2))
    channels = [leaf for leaf in held if kind_of(rule, data, leaf) < 2]
    positions = others(parts_of(rule.results[0]), channels)
    found = rows_at(x, parts_of(rule.operands[data] or ()), positions, rows, [*groups, *columns])
    return found.reshape(len(rows), prod(leaf.size for leaf in groups), -1)


def rows_at(
    array: Array, parts: Sequence[Dim], positions: Sequence[Dim], rows: Index, last: Sequence[Dim]
) -> Array:
    """Rows of a tensor: ``positions`` counts them, ``last`` are the leaves that stay, in order."""
    whole = array.reshape([leaf.size for leaf in parts])
    front = [at for at, leaf in enumerate(parts) if not among(leaf, last)]
    back = [next(at for at, leaf in enumerate(parts) if leaf is one) for one in last]
    places = np.unravel_index(rows, [leaf.size for leaf in positions]) if positions else ()
    index = tuple(
        next(
            (place for one, place in zip(positions, places, strict=True) if one is parts[at]),
            np.zeros(len(rows), np.int64),
        )
        for at in front
    )
    moved = whole.transpose(*front, *back)
    return moved[index] if index else np.broadcast_to(moved, (len(rows), *moved.shape))


def kind_of(rule: Rule, data: int, leaf: Dim) -> int:
    """0 for groups, 1 for what is made, 2 for what is summed over."""
    if among(leaf, parts_of(rule.contracted)):
        return 2
    return 0 if among(leaf, parts_of(rule.operands[data] or ())) else 1


def parts_of(dims: Dims) -> list[Dim]:
    """Leaves of all dims; those of one entry are nothing to count, and products leave them out."""
    return [leaf for dim in dims for leaf in leaves(dim) if leaf.size != 1]


def among(leaf: Dim, others: Iterable[Dim]) -> bool:
    return any(leaf is other for other in others)


def others(parts: Sequence[Dim], without: Sequence[Dim]) -> list[Dim]:
    return [leaf for leaf in parts if not among(leaf, without)]
