"""Deficits: amounts that values are short of once channels are cut, for the walk that brings them to a bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...ir import Array, Atom, Dims, Graph, Index, atoms_of, is_float, kept_of, masked, positions
from ..analyses import Constant, along, is_linear, result_slots, silences
from ..coupling import Coupling, Step

Channels = Mapping[Atom, Array]
Given = tuple["Constant | None", ...]
_ALIKE = 1e-9


@dataclass(frozen=True)
class Deficit:
    """The amount that a value is short of, broadcastable to it.

    Attributes:
        consumers: labels of the nodes with cut inputs that it comes from.
        due: cut channels that it stands for, by atom, as marks.
        constant: whether it is so for every input, not only on average.
    """

    amount: Array
    consumers: frozenset[str]
    due: Channels = field(default_factory=dict)
    constant: bool = False

    def of(self, amount: Array) -> Deficit:
        """The same of another value."""
        return Deficit(np.asarray(amount), self.consumers, self.due, self.constant)

    def __add__(self, other: Deficit) -> Deficit:
        consumers = self.consumers | other.consumers
        both = self.constant and other.constant
        return Deficit(self.amount + other.amount, consumers, joined(self.due, other.due), both)


def joined(one: Channels, other: Channels) -> dict[Atom, Array]:
    """Channels that are marked in either."""
    return {**one, **{atom: marks | one.get(atom, marks) for atom, marks in other.items()}}


def together(deficits: Sequence[Deficit]) -> Deficit:
    """Consumers that the deficits of several operands come from, and their channels; their amounts do not add up."""
    whole = deficits[0].of(np.zeros(1))
    for deficit in deficits[1:]:
        whole = whole + deficit.of(np.zeros(1))
    return whole


@dataclass(frozen=True)
class Missing:
    """Entries cut from an operand that its node still reads, with their mean amounts.

    Attributes:
        amount: of the operand's shape, 0 where it stays.
        unknown: cut entries whose amount nobody knows and that the node does read.
        moving: cut entries that are not constant, or read with more than one factor.
        read: cut entries of which anything reaches the result.
    """

    amount: Array
    unknown: Array
    moving: Array
    read: Array

    @property
    def effective(self) -> Array:
        """Cut entries without which the result is another one."""
        return np.asarray(self.read & (self.moving | (self.amount != 0)))


def missing(
    coupling: Coupling, step: Step, position: int, gone: Array, mean: Array | None, given: Given
) -> Missing:
    """Cut entries of one operand.

    Args:
        gone: marks the entries that are cut.
        mean: of the operand, where it is known.
        given: by operand what of it is constant.
    """
    constant = given[position]
    known = np.zeros(gone.shape, bool) if constant is None else np.broadcast_to(constant.known, gone.shape)
    amount = np.zeros(gone.shape) if mean is None else np.broadcast_to(mean, gone.shape)
    if constant is not None:
        amount = np.where(known, constant.amount, amount)
    read = gone & entries_read(coupling, step, position, given)
    unknown = read & ~known if mean is None else np.zeros(gone.shape, bool)
    return Missing(np.where(read, amount, 0.0), unknown, read & ~known, read)


def entries_read(coupling: Coupling, step: Step, position: int, given: Given) -> Array:
    """Entries of an operand that some entry of the result depends on: their factors are not all zero."""
    shape = step.call.shape(position)
    quiet = step.op.flow.inflow is not None and (len(step.data) > 1 or silences(step))
    if (
        step.op.flow.inflow is None
        or not quiet
        or not all(is_linear(coupling.graph, step, i) for i in step.data)
    ):
        return np.ones(shape, bool)
    sizes = tuple(_size(step, i, constant) for i, constant in enumerate(given))
    with np.errstate(all="ignore"):
        found = step.op.flow.inflow(step.op, step.call, sizes, position)
    return np.broadcast_to(np.asarray(found) != 0, shape)


def _size(step: Step, position: int, constant: Constant | None) -> Array | None:
    array = step.static[position]
    if array is None and step.call.has(position):
        shape = step.call.shape(position)
        return np.ones(shape) if constant is None else _sized(constant, shape)
    if array is None or not is_float(array.dtype.name):
        return array
    return np.zeros_like(array) if position in result_slots(step) else np.abs(array)


def _sized(constant: Constant, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.where(constant.known, np.abs(constant.amount), 1.0), shape)


def marked(entries: Array, dims: Dims, coupling: Coupling, atoms: frozenset[Atom]) -> dict[Atom, Array]:
    """Channels that have any of the marked entries."""
    found: dict[Atom, Array] = {}
    for axis, dim in enumerate(dims if atoms and np.any(entries) else ()):
        along_axis = np.any(entries, axis=tuple(other for other in range(entries.ndim) if other != axis))
        for atom, places in positions(coupling.norm(dim)).items():
            if atom not in atoms:
                continue
            marks = np.zeros(atom.size, bool)
            for entry, index in places:
                np.logical_or.at(marks, index, along_axis[entry])
            found[atom] = marks & found.get(atom, np.ones_like(marks))
    return found


def staying(amount: Array, index: tuple[Index | None, ...], shape: tuple[int, ...]) -> Array:
    """``amount`` without what it says of entries that are cut."""
    if all(keep is None for keep in index):
        return amount
    whole = [
        size if keep is not None else own for size, keep, own in zip(shape, index, amount.shape, strict=True)
    ]
    return masked(np.broadcast_to(amount, whole), index)


def without_cut_rows(coupling: Coupling, step: Step, kept: Mapping[Atom, Index]) -> Step:
    """The node with weights of zero for what it makes of channels that are cut: nobody reads that."""
    made = {leaf for dims in step.rule.results for dim in dims for leaf in atoms_of(dim)}
    summed = {leaf for dim in step.rule.contracted for leaf in atoms_of(dim)}
    rows = {
        atom: kept[atom] for leaf in made - summed for atom in atoms_of(coupling.norm(leaf)) if atom in kept
    }
    still = {atom for leaf in summed for atom in atoms_of(coupling.norm(leaf))}
    rows = {atom: index for atom, index in rows.items() if atom not in still}
    if not rows:
        return step
    static = tuple(
        array
        if array is None or dims is None or not is_float(array.dtype.name)
        else masked(array, kept_of(dims, coupling.norm, rows))
        for array, dims in zip(step.static, step.rule.operands, strict=True)
    )
    return replace(step, static=static)


def alone(step: Step, position: int, carrier: int, amount: Array) -> Array | None:
    """An operand where only the carrier holds something; what is no float (indices) as it is."""
    if not step.call.has(position):
        return None
    shape, static = step.call.shape(position), step.static[position]
    if position == carrier:
        return np.broadcast_to(amount.astype(np.float64), shape)
    return np.zeros(shape) if static is None or is_float(static.dtype.name) else static


def made_of(step: Step, position: int, data: Array) -> Array:
    """Product of the node's weights with ``data``, without what it adds whatever the data."""
    fixed = [None if i in result_slots(step) else array for i, array in enumerate(step.static)]
    made = step.op.run(step.call, (*fixed[:position], data, *fixed[position + 1 :]))[0]
    if sum(array is not None for array in fixed) > 1:
        made = made - step.op.run(step.call, (*fixed[:position], 0 * data, *fixed[position + 1 :]))[0]
    return np.asarray(made)


def shared_axes(step: Step, position: int) -> tuple[int, ...]:
    """Axes of the result that the weights do not make: batch, positions."""
    weights = (
        dims for i, dims in enumerate(step.rule.operands) if i != position and i not in result_slots(step)
    )
    made = {leaf for dims in weights for dim in dims or () for leaf in atoms_of(dim)}
    return tuple(i for i, dim in enumerate(step.rule.results[0]) if made.isdisjoint(atoms_of(dim)))


def exactly(amount: Array, dims: Dims, taken: Array, slot: Dims) -> bool:
    """Return whether a param of ``slot`` that gains ``taken`` gives a tensor of ``dims`` all of ``amount``."""
    back = taken.reshape(()) if taken.size == 1 else along(taken, slot, dims)
    return back is not None and alike(amount, back)


def alike(one: Array, other: Array) -> bool:
    """Return whether two arrays that broadcast are equal up to rounding."""
    gap = float(np.max(np.abs(one - other), initial=0.0))
    return gap <= _ALIKE * float(np.max(np.abs(one), initial=0.0))


def stored(amount: Array, graph: Graph, name: str) -> tuple[float, ...]:
    """Numbers that the param's type holds, so that a plan in JSON says exactly what is added."""
    wide = graph.params[name].dtype == "float64"
    return tuple(float(number) for number in amount.ravel().astype("float64" if wide else "float32"))
