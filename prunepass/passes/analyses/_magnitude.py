"""The abs-forward: how large the data can be at every place, from weights alone.

All weights are replaced by their absolute values and ones are sent through the network. At every layer that
makes channels by a weighted sum the walk starts anew from ones, so the magnitude of a value is what the
layers just above it make of data of size one. This is the row-sum half of DFPC's saliency (Narshana, Murti,
Bhattacharyya, ICLR 2023: the entrywise norm of a product of nonnegative matrices is column sums times row
sums), here for any operators, in time linear in the number of layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Atom, Op, Value, atoms_of, is_float, leaves
from ..coupling import Coupling, Step, drop, steps

_SIGNED = frozenset({"scale", "shift", "mean", "var"})
_SHIFTS = frozenset({"bias", "shift", "mean"})


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """Magnitudes of the operands and results of one node.

    Attributes:
        operands: magnitudes of what it reads, in the form that transfer functions take; an operand that is
            no float (an index) as it is.
        results: magnitudes of what it makes, of the results' shapes.
    """

    step: Step
    operands: tuple[Array | None, ...]
    results: tuple[Array, ...]


def magnitudes(coupling: Coupling, *, include_shift: bool = False) -> Mapping[str, Array]:
    """Magnitude of every value that depends on the input, by name; nonnegative float64.

    Args:
        include_shift: let biases and shifts count; without, the magnitudes of DFPC as published.
    """
    graph = coupling.graph
    found = {name: _plain(graph.values[name]) for name in graph.inputs}
    for met in trace(coupling, include_shift=include_shift):
        found.update(zip(met.step.node.outputs, met.results, strict=False))
    return found


def trace(coupling: Coupling, *, include_shift: bool = False) -> Iterator[Magnitudes]:
    """The same node by node, holding only what is still to be read."""
    graph = coupling.graph
    made = {name: _plain(graph.values[name]) for name in graph.inputs}
    prunable = {group.atom for group in coupling.prunable}
    for step in steps(coupling):
        operands = tuple(
            made[str(name)] if i in step.data else _static(step, i, include_shift)
            for i, name in enumerate(step.node.inputs)
        )
        forward = _restarted(coupling, step, operands, prunable) if _makes_channels(step) else operands
        with np.errstate(all="ignore"):
            found = _results(coupling, step, forward)
        made.update(zip(step.node.outputs, found, strict=False))
        yield Magnitudes(step, operands, found)
        drop(made, step.expired)


def signed(op: Op, position: int) -> bool:
    """Return whether magnitudes take the operand at ``position`` with its sign."""
    return op.operands[position : position + 1] != () and op.operands[position] in _SIGNED


def _plain(value: Value) -> Array:
    """Data of size one; integers are a valid index."""
    if is_float(value.dtype):
        return np.ones(value.shape)
    return np.full(value.shape, value.dtype == "bool", dtype=value.dtype)


def _static(step: Step, position: int, include_shift: bool) -> Array | None:
    array, name = step.static[position], step.named(position)
    if array is None or not is_float(array.dtype.name):
        return array
    if not include_shift and _is_shift(step, position, array):
        return np.zeros_like(array)
    # Minus infinity is how masks say "not this one": no data of infinite size comes from there.
    finite = np.where(np.isfinite(array), array, 0.0)
    return finite if name in _SIGNED else np.abs(finite)


def _is_shift(step: Step, position: int, array: Array) -> bool:
    """Return whether an operand only adds to the result; a single number (``x + 3``) is part of an activation."""
    if step.named(position) in _SHIFTS or position == step.op.shift_out:
        return True
    slot = step.op.shift_in
    return slot is not None and position in (0, slot[0]) and array.size > 1


def _makes_channels(step: Step) -> bool:
    """Return whether a weighted sum makes new channels here; depthwise the channels only pass through."""
    summed = {id(leaf) for dim in step.rule.contracted for leaf in leaves(dim)}
    weights = set[Atom]()
    weighted = False
    for dims, array in zip(step.rule.operands, step.static, strict=True):
        if dims is None or array is None or not is_float(array.dtype.name):
            continue
        if any(id(leaf) in summed for dim in dims for leaf in leaves(dim)):
            weighted = True
            weights.update(leaf for dim in dims for leaf in atoms_of(dim))
    if not weighted:
        return False
    if any(True for dim in step.rule.contracted for _ in atoms_of(dim)):
        return True
    read = {leaf for i in step.data for dim in step.rule.operands[i] or () for leaf in atoms_of(dim)}
    made = {leaf for dims in step.rule.results for dim in dims for leaf in atoms_of(dim)}
    return not weights & read & made


def _restarted(
    coupling: Coupling, step: Step, operands: tuple[Array | None, ...], prunable: set[Atom | None]
) -> tuple[Array | None, ...]:
    """Ones in place of data, but for channels that only pass by: a mix of positions keeps their profile."""
    summed = {leaf for dim in step.rule.contracted for leaf in atoms_of(coupling.norm(dim))}
    fresh = list(operands)
    for position in step.data:
        array, dims = operands[position], step.rule.operands[position]
        if array is None or dims is None or array.dtype.kind != "f":
            continue
        axes = tuple(
            axis
            for axis, dim in enumerate(dims)
            if summed & set(atoms_of(coupling.norm(dim))) or prunable.isdisjoint(atoms_of(coupling.norm(dim)))
        )
        profile = (
            np.ones((1,) * array.ndim) if len(axes) == array.ndim else array.mean(axis=axes, keepdims=True)
        )
        fresh[position] = np.broadcast_to(profile, array.shape)
    return tuple(fresh)


def _results(coupling: Coupling, step: Step, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
    values = [coupling.graph.values[name] for name in step.node.outputs]
    real = any(array is not None and array.dtype.kind == "f" for array in operands)
    if not real and not any(is_float(value.dtype) for value in values):
        return tuple(np.asarray(array) for array in step.op.run(step.call, operands))
    known = dict(enumerate(step.op.flow.magnitude(step.op, step.call, operands) if real else ()))
    codes = _are_codes(coupling, step, operands)
    return tuple(
        np.broadcast_to(np.asarray(known[i], dtype=np.float64), value.shape)
        if i in known and (codes or is_float(value.dtype))
        else _plain(value)
        for i, value in enumerate(values)
    )


def _are_codes(coupling: Coupling, step: Step, operands: tuple[Array | None, ...]) -> bool:
    """Return whether whole numbers that the node makes stand for a quantity, or for what it reads of that kind."""
    return step.op.flow.codes or any(
        array is not None and array.dtype.kind == "f" and not is_float(coupling.graph.tensor(str(name)).dtype)
        for name, array in zip(step.node.inputs, operands, strict=True)
    )
