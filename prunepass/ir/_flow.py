"""Flow of magnitudes and moments through an operator: one :class:`Flow` per family.

*Magnitude* is the abs-forward of data-flow bounds: nonnegative arrays in, nonnegative arrays out, biases and
shifts already zeroed by the caller where they are not wanted. *Inflow* is, for each entry of a data operand,
how much it adds to the summed magnitude of the result (the closed form of DFPC's saliency). *Moments* are
stratified samples: an array of shape ``(K, *shape)`` whose axes may be 1 where all entries are alike; sample
``k`` of every value belongs together, so operators that use one value twice stay exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ._dims import atoms_of
from ._graph import Array

if TYPE_CHECKING:
    from ._op import Call, Op

Arrays: TypeAlias = "tuple[Array | None, ...]"
Transfer: TypeAlias = "Callable[[Op, Call, Arrays], tuple[Array, ...]]"
Inflow: TypeAlias = "Callable[[Op, Call, Arrays, int], Array]"
Moments: TypeAlias = "Callable[[Op, Call, Arrays, Sampler], tuple[Array | None, ...]]"
SAMPLES = 256


class Sampler:
    """Makes the samples of a fresh random quantity, independent of all made before, without randomness left.

    Quantiles of the normal law, symmetric about 0 with variance 1, in an order of their own per entry.
    """

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))
        grid = _normal_quantiles(SAMPLES)
        self._grid = grid / np.sqrt(np.mean(grid**2))

    def normal(self, mean: Array, deviation: Array) -> Array:
        """Samples of shape ``(K, *mean.shape)`` with exactly this mean and deviation."""
        order = np.tile(self._grid, (mean.size, 1))
        order = self._generator.permuted(order, axis=1).T.reshape(SAMPLES, *mean.shape)
        return np.asarray(mean + deviation * order)


@cache
def _normal_quantiles(count: int) -> Array:
    """Mid-point quantiles of the standard normal law, by bisection of the error function, of variance 1."""
    levels = (np.arange(count) + 0.5) / count
    low, high = np.full(count, -9.0), np.full(count, 9.0)
    for _ in range(60):
        mid = (low + high) / 2
        below = np.array([0.5 * (1 + erf(x / sqrt(2))) for x in mid]) < levels
        low, high = np.where(below, mid, low), np.where(below, high, mid)
    grid = np.asarray((low + high) / 2)
    return np.asarray(grid / np.sqrt(np.mean(grid**2)))


def _ones(op: Op, call: Call, arrays: Arrays) -> tuple[Array, ...]:
    return tuple(np.ones(shape) for shape in call.results)


def _unknown(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    return (None,) * max(1, len(call.results))


def evaluated(op: Op, call: Call, arrays: Arrays) -> tuple[Array, ...]:
    """Magnitude of an operator that is linear and nonnegative in its data: the operator itself."""
    return op.run(call, arrays)


@dataclass(frozen=True)
class Flow:
    """The transfer functions of a family; the defaults know nothing.

    Where ``codes``, whole numbers that come out stand for a quantity and have a magnitude, as has what is
    made of them; elsewhere they count or name something.

    ``call.results`` holds the result shapes whenever a transfer is called. For moments every operand is an
    array of samples ``(K, ...)``, broadcast operands that are constant have ``K = 1``; None is unknown.
    """

    magnitude: Transfer = _ones
    moments: Moments = _unknown
    inflow: Inflow | None = None
    codes: bool = False

    @property
    def moves(self) -> bool:
        """Return whether entries change place and nothing else."""
        return self.moments is _movement_moments


def _pointwise_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    if any(array is None and call.has(i) for i, array in enumerate(samples)):
        return (None,)
    rank = len(call.results[0])
    padded = tuple(None if array is None else _pad_rank(array, rank) for array in samples)
    return op.run(call, padded)


def _pad_rank(array: Array, rank: int) -> Array:
    """Insert axes behind the sample axis, as broadcasting would do in front of the shape."""
    missing = rank + 1 - array.ndim
    return array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:])


def _movement_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Send entry numbers through the operator and gather the samples that arrive."""
    data = [array for array in samples if array is not None]
    if len(data) != sum(shape is not None for shape in call.shapes):
        return (None,) * len(call.results)
    count = max(array.shape[0] for array in data)
    numbered, table, start = list[Array | None](), list[Array](), 0
    for array, shape in zip(samples, call.shapes, strict=True):
        if array is None or shape is None:
            numbered.append(None)
            continue
        flat = np.broadcast_to(array, (count, *array.shape[1:])).reshape(count, -1)
        numbers = np.arange(start, start + flat.shape[1]).reshape(array.shape[1:])
        numbered.append(np.broadcast_to(numbers, shape))
        table.append(flat)
        start += flat.shape[1]
    joined = np.concatenate(table, axis=1)
    moved = op.run(call, tuple(numbered))
    return tuple(joined[:, _shrink(numbers)] for numbers in moved)


def _shrink(numbers: Array) -> Array:
    """Keep one entry of every axis along which all entries are the same."""
    for axis in range(numbers.ndim):
        first = numbers.take([0], axis) if numbers.shape[axis] else numbers
        if numbers.shape[axis] > 1 and bool((numbers == first).all()):
            numbers = first
    return numbers


def _averaged_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """A mean over entries that are alike is one of them; zero padding at the border is left out."""
    data, rank = samples[0], len(call.results[0])
    if data is None or len(call.shape(0)) != rank:
        return (None,)
    shrunk = [i for i, (a, b) in enumerate(zip(call.shape(0), call.results[0], strict=True)) if a != b]
    return (data if all(data.shape[i + 1] == 1 for i in shrunk) else None,)


def _contraction_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """The mean goes through the operator, the variance through its square (entries taken as independent).

    Other axes than those the weight makes are averaged, so zero padding blurs the border. The data may be
    any one of the operands, as long as all others are constant.
    """
    varying = [i for i, array in enumerate(samples) if array is None or array.shape[0] != 1]
    varying = [i for i in varying if call.has(i)] or [0]
    data = samples[varying[0]]
    if data is None or len(varying) > 1 or varying[0] == op.shift_out:
        return (None,)
    constant = tuple(None if array is None else array[0] for array in samples)
    squares = tuple(
        None if array is None or i == op.shift_out else array**2 for i, array in enumerate(constant)
    )
    mean, var = (
        op.run(call, _with(fixed, varying[0], np.broadcast_to(moment, call.shape(varying[0]))))[0]
        for fixed, moment in ((constant, data.mean(axis=0)), (squares, data.var(axis=0)))
    )
    rule = op.rule(call)
    weights = (dims for i, dims in enumerate(rule.operands) if i not in {varying[0], op.shift_out})
    made = {leaf for dims in weights for dim in dims or () for leaf in atoms_of(dim)}
    axes = tuple(i for i, dim in enumerate(rule.results[0]) if not made & set(atoms_of(dim)))
    mean, var = mean.mean(axis=axes, keepdims=True), var.mean(axis=axes, keepdims=True)
    return (sampler.normal(mean, np.sqrt(np.maximum(var, 0))),)


def _with(arrays: Arrays, position: int, array: Array) -> Arrays:
    return (*arrays[:position], array, *arrays[position + 1 :])


def pointwise(magnitude: Transfer) -> Flow:
    """Entry by entry; ``magnitude`` maps operand magnitudes."""
    return Flow(magnitude, _pointwise_moments)


def movement() -> Flow:
    """Entries change place and nothing else."""
    return Flow(evaluated, _movement_moments)


def average() -> Flow:
    """A mean over positions."""
    return Flow(evaluated, _averaged_moments)


def contraction(inflow: Inflow) -> Flow:
    """A sum of products with weights."""
    return Flow(evaluated, _contraction_moments, inflow)


def bounded(magnitude: Transfer) -> Flow:
    """A family with a magnitude and no known moments."""
    return Flow(magnitude)
