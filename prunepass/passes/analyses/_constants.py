"""Constant folding through the graph: channels that are the same whatever the input, as weights of zero make them.

A filter of zeros makes its bias, a normalisation with a gain of zero its shift, and what follows makes of them
what it makes. Two things are relied on, both declared with the operators. Their rules say which entries of an
operand an entry of the result can depend on at all. And a result that is linear in what it reads depends on
nothing where its weights are zero, which two fillings of all that is not known tell: they come out the same.
A constant is one number for all positions; where padding makes a border of another number nothing is claimed, for
the next image has another size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import PRODUCT, Array, Atom, Dim, Dims, Fixed, atoms_of, cast, is_float, leaves
from ..coupling import Coupling, Step, steps
from ._moments import LARGEST
from ._shift import along, is_linear

_ADDING = frozenset(("bias", "shift", "mean", "var"))
# Large, so that a weight which rounds away beside a bias still shows.
_FILL, _ALIKE = 1e8, 1e-12


@dataclass(frozen=True, eq=False)
class Constant:
    """Constant entries of a value, marked, with their amounts; both broadcastable to it.

    Attributes:
        known: True where an entry is the same whatever the input.
        amount: what it is there, 0 elsewhere.
    """

    known: Array
    amount: Array


def constants(coupling: Coupling) -> Mapping[str, Constant]:
    """Constant entries of values that depend on the input, by name; values without any are left out."""
    result: Mapping[str, Constant] = coupling.graph.memo("constants", lambda _: _constants(coupling))
    return result


def _constants(coupling: Coupling) -> dict[str, Constant]:
    channels = {group.atom for group in coupling.prunable}
    found: dict[str, Constant] = {}
    for step in steps(coupling):
        given = tuple(found.get(str(name)) for name in step.node.inputs)
        if all(given[i] is None for i in step.data) and not silences(step):
            continue
        for name, constant in _made(coupling, step, given).items():
            same = _everywhere(constant, coupling.dims[name], channels)
            if np.any(same.known):
                found[name] = same
    return found


def silences(step: Step) -> bool:
    """Return whether some weight of the node has a slice of zeros, so that there may be data that it does not read."""
    for position, array in enumerate(step.static):
        if array is None or not array.size or not is_float(array.dtype.name) or _adds(step, position):
            continue
        zeros = array.size - np.count_nonzero(array)  # as nearly always too few, which is told at once
        for axis in range(array.ndim):
            if zeros < array.size // array.shape[axis]:
                continue
            rest = tuple(other for other in range(array.ndim) if other != axis)
            if not np.all(np.any(array, axis=rest)):
                return True
        if zeros == array.size:
            return True
    return False


def _adds(step: Step, position: int) -> bool:
    """Return whether an operand only adds to data or result, or divides."""
    slot = step.op.shift_in
    return (
        step.named(position) in _ADDING
        or position == step.op.shift_out
        or (slot is not None and position in (0, slot[0]))
    )


def _made(coupling: Coupling, step: Step, given: tuple[Constant | None, ...]) -> dict[str, Constant]:
    """Constant entries of what a node makes."""
    values = [coupling.graph.values[name] for name in step.node.outputs]
    read = [step.call.shape(i) for i in step.data]
    # An operator that reads sizes alone may make of them what it likes, at random even.
    passes = any(step.rule.operands[i] is not None for i in step.data)
    if not passes or any(
        np.prod(shape, dtype=float) > LARGEST for shape in (*read, *(v.shape for v in values))
    ):
        return {}
    affine = is_affine(coupling, step, given)
    try:
        with np.errstate(all="ignore"):
            one, other = (step.op.run(step.call, _filled(step, given, seed)) for seed in (0, 1))
    except (TypeError, ValueError, IndexError):  # an operator that does not take any data: nothing is claimed
        return {}
    found: dict[str, Constant] = {}
    for at, (value, a, b) in enumerate(zip(values, one, other, strict=False)):
        first, second = cast(a, "float64"), cast(b, "float64")
        known = np.asarray((first == second) & np.isfinite(first))
        if not affine:
            known = known & ~_open(step, given, at)
        if known.shape == value.shape and np.any(known):
            found[value.name] = Constant(known, np.where(known, first, np.zeros_like(first)))
    return found


def is_affine(coupling: Coupling, step: Step, given: tuple[Constant | None, ...]) -> bool:
    """Return whether the result is a sum of products of what is not known with what is; by declaration and by trial.

    A function with a flat part could pass the trial alone.
    """
    op = step.op
    declared = (
        op.flow.inflow is not None
        or op.flow.moves
        or op.shift_in is not None
        or op.shift_out is not None
        or op.flow.magnitude is PRODUCT.magnitude
    )
    if not declared or any(not is_float(step.call.dtypes[i] or "") for i in step.data):
        return False
    return all(is_linear(coupling.graph, step, i) for i in step.data if not _whole(given[i]))


def _whole(constant: Constant | None) -> bool:
    return constant is not None and bool(np.all(constant.known))


def _filled(step: Step, given: tuple[Constant | None, ...], seed: int) -> tuple[Array | None, ...]:
    """Operands with what is known, and anything else in the place of what is not."""
    rng, arrays = np.random.default_rng(seed), list(step.static)
    for position in step.data:
        shape, dtype, constant = step.call.shape(position), step.call.dtypes[position], given[position]
        drawn: Array = np.zeros(shape, dtype)
        if is_float(dtype or ""):
            drawn = _FILL * rng.standard_normal(shape)
        arrays[position] = drawn if constant is None else np.where(constant.known, constant.amount, drawn)
    return tuple(arrays)


def _open(step: Step, given: tuple[Constant | None, ...], at: int) -> Array:
    """Entries of a result that may depend on something that is not known, by the rule."""
    dims = step.rule.results[at]
    found = np.zeros(tuple(dim.size for dim in dims), dtype=bool)
    mixed = _mixed(step)
    for position in step.data:
        seen, constant = step.rule.operands[position], given[position]
        if seen is None:
            continue
        free = np.ones(step.call.shape(position), bool)
        if constant is not None:
            free &= ~constant.known
        found |= _brought(free, seen, dims, mixed)
    return found & _scaled(step, dims)


def _mixed(step: Step) -> frozenset[Atom | Fixed]:
    """The node's own index spaces whose entries meet each other."""
    rule = step.rule
    met = (*rule.contracted, *rule.statistics, *rule.centred, *(dim for dim, _ in rule.pins))
    return frozenset(leaf for dim in met for leaf in leaves(dim))


def _brought(free: Array, seen: Dims, dims: Dims, mixed: frozenset[Atom | Fixed]) -> Array:
    """A mark on an operand as a mark on the result: along what they share, anywhere along what they do not."""
    pairs = [
        (axis, next((i for i, other in enumerate(dims) if other is dim), None))
        for axis, dim in enumerate(seen)
        if _passes(dim, mixed)
    ]
    shared = {axis: onto for axis, onto in pairs if onto is not None}
    if len(set(shared.values())) < len(shared):
        shared = {}
    rest = tuple(axis for axis in range(free.ndim) if axis not in shared)
    small = np.any(free, axis=rest)
    axes = sorted(shared)
    ordered = small.transpose(sorted(range(len(axes)), key=lambda i: shared[axes[i]]))
    onto = set(shared.values())
    return np.asarray(ordered.reshape([dim.size if i in onto else 1 for i, dim in enumerate(dims)]))


def _passes(dim: Dim, mixed: frozenset[Atom | Fixed]) -> bool:
    """Return whether every entry of a dim stays by itself."""
    return dim.size > 1 and all(isinstance(leaf, Atom) and leaf not in mixed for leaf in leaves(dim))


def _scaled(step: Step, dims: Dims) -> Array:
    """Entries of a result whose gain is not zero: behind a gain of zero only the shift is left."""
    position = step.op.position("scale")
    gain = None if position is None or position >= len(step.static) else step.static[position]
    if position is None or gain is None:
        return np.ones((1,) * len(dims), bool)
    seen = step.rule.operands[position]
    spread = None if seen is None else along((gain != 0).astype(float), seen, dims)
    return np.ones((1,) * len(dims), bool) if spread is None else spread > 0


def _everywhere(constant: Constant, dims: Dims, channels: set[Atom | None]) -> Constant:
    """The part of a constant that is one number along every axis without channels."""
    known, amount = constant.known, constant.amount
    for axis, dim in enumerate(dims):
        if dim.size > 1 and channels.isdisjoint(atoms_of(dim)):
            first = amount.take([0], axis)
            near = (
                np.abs(amount - first) <= _ALIKE * np.abs(first)
                if amount.dtype.kind == "f"
                else amount == first
            )
            known = np.all(known & near, axis=axis, keepdims=True)
            amount = np.where(known, first, np.zeros_like(first))
    return Constant(known, amount)
