"""Slots for a constant shift of a value: measured on the operator itself, cut down to single channels.

An operator declares which operand adds to its result (``shift_out``) or to its data (``shift_in``). How much
one unit there is worth (factors such as ``alpha``, signs) is what its own evaluation says, at size one.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...ir import SUM, Array, Dims, Graph, atoms_of, cut_run, evaluated, is_float
from ..coupling import Step

_Operands: TypeAlias = "tuple[Array | None, ...]"
_EXACT = 1e-9
_SEEDS = range(4)


def result_slots(step: Step) -> tuple[int, ...]:
    """Operands that add to the result."""
    return () if step.op.shift_out is None else (step.op.shift_out,)


def data_slots(step: Step, position: int) -> tuple[int, ...]:
    """Operands that add to the operand at ``position``; either side of a sum is the other's."""
    if step.op.shift_in is None:
        return ()
    pair = (0, step.op.shift_in[0])
    return tuple(other for other in pair if other != position) if position in pair else ()


def added(step: Step, position: int) -> float | None:
    """The factor with which an operand is added to the others; None where the result is no sum."""
    declared = data_slots(step, position) or step.op.flow.magnitude is SUM.magnitude
    return response(step, position) if declared else None


def carries(step: Step, position: int) -> bool:
    """Return whether a lack of an operand is one of the result: entries move or are averaged."""
    return step.op.flow.moves or (step.op.flow.magnitude is evaluated and linear(step, position))


def response(step: Step, position: int) -> float | None:
    """Gain of every entry of the result when an operand grows by one everywhere.

    None where it is not the same for all entries, data and amounts: the operator does not just add there.
    """
    gains = []
    for seed in _SEEDS:
        base = _base(step, seed)
        start = _at_one(step, base)
        gains += [(_at_one(step, _changed(base, position, add=by)) - start) / by for by in (1.0, -2.0)]
    return _constant(gains)


def exchange(step: Step, position: int, slot: int) -> float | None:
    """Amount to add to ``slot`` for the effect of one unit at ``position``; None where nothing has it."""
    ratios = []
    for seed in _SEEDS:
        base = _base(step, seed)
        start = _at_one(step, base)
        here, there = (_at_one(step, _changed(base, at, add=1.0)) - start for at in (position, slot))
        if not np.all(there):
            return None
        ratios.append(here / there)
    return _constant(ratios)


def is_linear(graph: Graph, step: Step, position: int) -> bool:
    """:func:`linear`, tried once for a node of ``graph``."""
    found: bool = graph.memo(("linear", step.node.name, position), lambda _: linear(step, position))
    return found


def linear(step: Step, position: int) -> bool:
    """Return whether the result is linear in an operand, up to a constant: data of both signs tell."""
    for seed in _SEEDS:
        base = _base(step, seed)
        zero, once, thrice = (_at_one(step, _changed(base, position, times=by)) for by in (0.0, 1.0, -3.0))
        want = -3.0 * (once - zero)
        largest = float(np.max(np.abs(want), initial=0))
        if not np.isfinite(largest) or not np.allclose(
            thrice - zero, want, rtol=_EXACT, atol=_EXACT * largest
        ):
            return False
    return True


def _constant(arrays: list[Array]) -> float | None:
    """The number that all entries are; most often a whole one, so no rounding of the probe is left in it."""
    every = np.concatenate([array.ravel() for array in arrays])
    if every.size == 0 or not np.allclose(every, every[0], rtol=_EXACT, atol=_EXACT):
        return None
    number = float(every[0])
    return float(round(number)) if abs(number - round(number)) <= _EXACT else number


def _base(step: Step, seed: int) -> _Operands:
    """Operands that are alike along every index space that can be cut; weights (variances) are positive."""
    rng = np.random.default_rng(seed)
    return tuple(_drawn(step, position, rng) for position in range(len(step.call.shapes)))


def _drawn(step: Step, position: int, rng: np.random.Generator) -> Array | None:
    shape, dtype, dims = step.call.shapes[position], step.call.dtypes[position], step.rule.operands[position]
    if shape is None or dtype is None:
        return None
    if not is_float(dtype):
        known = step.static[position]
        return np.zeros(shape, dtype=dtype) if known is None else known
    spread = [1 if any(True for _ in atoms_of(dim)) else dim.size for dim in dims or ()]
    sizes = rng.uniform(0.5, 1.5, spread)
    drawn: Array = sizes * rng.choice((-1.0, 1.0), spread) if position in step.data else sizes
    return np.broadcast_to(drawn, shape)


def _changed(base: _Operands, position: int, *, add: float = 0.0, times: float = 1.0) -> _Operands:
    array = base[position]
    return base if array is None else (*base[:position], array * times + add, *base[position + 1 :])


def _at_one(step: Step, operands: _Operands) -> Array:
    """The first result when every index space that can be cut has one entry."""
    every = [dims for dims in (*step.rule.operands, *step.rule.results) if dims is not None]
    kept = {leaf: np.zeros(1, dtype=np.int64) for dims in every for dim in dims for leaf in atoms_of(dim)}
    with np.errstate(all="ignore"):
        made = cut_run(step.op, step.call, step.rule, lambda dim: dim, kept, operands)[0]
    return np.asarray(made, dtype=np.float64)


def along(array: Array, dims: Dims, onto: Dims) -> Array | None:
    """``array``, broadcastable to a tensor of ``dims``, as one broadcastable to a tensor of ``onto``.

    Axes that both have are kept, all others averaged; None where they have none in common.
    """
    whole = np.broadcast_to(array, tuple(dim.size for dim in dims))
    axes = [
        next((i for i, dim in enumerate(dims) if dim is wanted and dim.size != 1), None) for wanted in onto
    ]
    kept = [axis for axis in axes if axis is not None]
    if not kept or len(set(kept)) < len(kept):
        return None
    averaged = whole.mean(axis=tuple(i for i in range(whole.ndim) if i not in kept))
    ordered = averaged.transpose([sorted(kept).index(axis) for axis in kept])
    return np.asarray(ordered.reshape([1 if axis is None else dims[axis].size for axis in axes]))


def fit(shift: Array, dims: Dims, slot: Dims) -> Array | None:
    """``shift``, broadcastable to a tensor of ``dims``, for a param of ``slot`` that adds to it.

    What the param cannot tell apart is averaged, the least-squares choice. None where the param has an axis
    that the tensor has not.
    """
    shape = tuple(dim.size for dim in slot)
    if all(size == 1 for size in shape):
        return np.asarray(np.broadcast_to(shift, tuple(dim.size for dim in dims)).mean()).reshape(shape)
    found = along(shift, dims, slot)
    return found if found is not None and found.shape == shape else None
