"""Effect of a cut on one node: new attributes, and the masked evaluation that the cut node must equal.

Both read the rule and nothing else, so they hold for every operator alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ._dims import Atom, Dim, Dims, Index, atoms_of, kept_index
from ._graph import Array, Attrs
from ._op import Call, Op, Rule, SizeSpec

Norm = Callable[[Dim], Dim]
Kept = Mapping[Atom, Index]


def cut_attrs(attrs: Attrs, rule: Rule, norm: Norm, kept: Kept) -> Attrs:
    """The attributes of a node after the cut: those that are sizes of dims follow their dims.

    Args:
        norm: gives a dim in terms of the atoms that ``kept`` speaks of.
        kept: kept indices of each cut atom.
    """
    changed = {name: _size(spec, norm, kept) for name, spec in rule.sizes.items() if name in attrs}
    return {**attrs, **changed}


def _size(spec: SizeSpec, norm: Norm, kept: Kept) -> Any:
    if isinstance(spec, tuple):
        return tuple(part if isinstance(part, int) else _count(part, norm, kept) for part in spec)
    return _count(spec, norm, kept)


def _count(dim: Dim, norm: Norm, kept: Kept) -> int:
    return int(kept_index(norm(dim), kept).size)


def kept_of(dims: Dims, norm: Norm, kept: Kept) -> tuple[Index | None, ...]:
    """Kept indices of every axis; None where the whole axis stays."""
    return tuple(
        kept_index(now, kept) if any(leaf in kept for leaf in atoms_of(now)) else None
        for now in (norm(dim) for dim in dims)
    )


def cut_entries(
    entries: tuple[Index | None, ...], dims: Dims, norm: Norm, kept: Kept
) -> tuple[Index | None, ...]:
    """Entries of the uncut result that are left, when ``entries`` were before."""
    known = entries or (None,) * len(dims)
    return tuple(
        before if now is None else now if before is None else before[now]
        for before, now in zip(known, kept_of(dims, norm, kept), strict=True)
    )


def gather(array: Array, index: tuple[Index | None, ...]) -> Array:
    """The kept entries of ``array``, axis by axis."""
    for axis, keep in enumerate(index):
        if keep is not None:
            array = np.take(array, keep, axis=axis)
    return array


def renumbered(array: Array, keep: Index | None) -> Array:
    """Entries that name positions of an axis of which ``keep`` stay, in the numbers of what is left."""
    return array if keep is None else np.searchsorted(keep, array).astype(array.dtype)


def masked(array: Array, index: tuple[Index | None, ...]) -> Array:
    """``array`` with everything that is not kept set to zero."""
    for axis, keep in enumerate(index):
        if keep is not None:
            mask = np.zeros(array.shape[axis], dtype=bool)
            mask[keep] = True
            array = np.where(mask.reshape(-1, *(1,) * (array.ndim - axis - 1)), array, np.zeros_like(array))
    return array


def masked_run(
    op: Op, call: Call, rule: Rule, norm: Norm, kept: Kept, operands: tuple[Array | None, ...]
) -> tuple[Array, ...]:
    """Evaluate the *uncut* node with the cut channels removed from what it reads.

    What is contracted is masked in every operand: a zero there is the same as removal. Where a statistic
    is taken over a cut dim, removal is defined as the operator on the kept entries, scattered back.
    """
    if any(leaf in kept for dim in rule.statistics for leaf in atoms_of(norm(dim))):
        return _scattered_run(op, call, rule, norm, kept, operands)
    contracted = {leaf for dim in rule.contracted for leaf in atoms_of(norm(dim)) if leaf in kept}
    if not contracted:
        return op.run(call, operands)
    summed = {leaf: kept[leaf] for leaf in contracted}
    read = tuple(
        array if array is None or dims is None else masked(array, kept_of(dims, norm, summed))
        for array, dims in zip(operands, rule.operands, strict=True)
    )
    return op.run(call, read)


def _scattered_run(
    op: Op, call: Call, rule: Rule, norm: Norm, kept: Kept, operands: tuple[Array | None, ...]
) -> tuple[Array, ...]:
    results = cut_run(op, call, rule, norm, kept, operands)
    scattered = []
    for small, dims in zip(results, rule.results, strict=False):
        whole = np.zeros(tuple(dim.size for dim in dims), dtype=small.dtype)
        index = kept_of(dims, norm, kept)
        grid = np.ix_(
            *(np.arange(dim.size) if keep is None else keep for dim, keep in zip(dims, index, strict=True))
        )
        whole[grid] = small
        scattered.append(whole)
    return tuple(scattered)


def cut_run(
    op: Op, call: Call, rule: Rule, norm: Norm, kept: Kept, operands: tuple[Array | None, ...]
) -> tuple[Array, ...]:
    """Evaluate the *cut* node: kept entries of the operands, attributes that follow."""
    read = tuple(
        array if array is None or dims is None else gather(array, kept_of(dims, norm, kept))
        for array, dims in zip(operands, rule.operands, strict=True)
    )
    read = _recounted(read, rule, norm, kept)
    results = tuple(tuple(_count(dim, norm, kept) for dim in dims) for dims in rule.results)
    small = replace(
        call,
        attrs=cut_attrs(call.attrs, rule, norm, kept),
        shapes=tuple(None if array is None else array.shape for array in read),
        known=lambda position: read[position],
        results=results,
        entries=cut_entries(call.entries, rule.results[0], norm, kept) if rule.results else (),
    )
    return op.run(small, read)


def _recounted(
    read: tuple[Array | None, ...], rule: Rule, norm: Norm, kept: Kept
) -> tuple[Array | None, ...]:
    """Operands with what names places of a cut dim in the numbers of what is left."""
    fresh = list(read)
    for position, dim in rule.indexed.items():
        array = fresh[position]
        if array is not None:
            fresh[position] = renumbered(array, *kept_of((dim,), norm, kept))
    return tuple(fresh)
