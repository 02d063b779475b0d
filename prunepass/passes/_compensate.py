"""Repair without data: the known mean of what is cut moves into the bias of what read it.

Where normalisations say how a cut channel is distributed, its consumers' results change by a known amount on
average. That amount goes into the consumer's own bias or, where it has none, on through sums and moves to the
next operand that adds (a bias added later, a running mean). This is the bias update of STADE (arXiv
2503.22451) for any operators and groups. At zero-padded borders a consumer reads less of the channel; one
number for all positions is the average over them, borders included: the least-squares choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from ..ir import Array, Atom, Graph, Index, atoms_of, is_float
from ..ir._cutting import kept_of, masked
from ._coupling import Coupling
from ._moments import mean_of, read_values, trace_moments
from ._plan import Plan
from ._refit import refitted
from ._sample import one_sample
from ._shift import added, carries, data_slots, exchange, fit, linear, response, result_slots
from ._stream import Step, drop, steps

Means = Mapping[str, "Array | None"]


@dataclass(frozen=True)
class Compensation:
    """A plan with its repair.

    Attributes:
        plan: the plan with ``shifts``.
        repaired: names of the params that change.
        unrepaired: what could not be repaired and why, by consumer.
        unknown: names of cut groups whose mean is not known to some consumer.
    """

    plan: Plan
    repaired: tuple[str, ...]
    unrepaired: Mapping[str, str]
    unknown: tuple[str, ...]


def compensate(coupling: Coupling, plan: Plan) -> Compensation:
    """``plan`` with the means of what it cuts moved into trained params that no cut or tie forbids to change.

    The proof of a cut holds with shifts as without: they belong to the masked model too.
    """
    small = one_sample(coupling)
    repair = _Repair(small, plan.kept(small), known_means(small))
    for step in steps(small):
        repair.pass_by(step)
    shifts = _together(refitted(coupling, plan.kept(coupling)), repair.settled())
    repaired = msgspec.structs.replace(plan, shifts=shifts)
    return Compensation(
        repaired, tuple(sorted(shifts)), dict(sorted(repair.unrepaired.items())), tuple(repair.unknown)
    )


def _together(*found: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """Amounts by param, added up where more than one is for the same."""
    shifts: dict[str, tuple[float, ...]] = {}
    for name, amounts in (pair for one in found for pair in one.items()):
        before = shifts.get(name)
        shifts[name] = amounts if before is None else tuple(map(sum, zip(before, amounts, strict=True)))
    return shifts


def known_means(coupling: Coupling) -> Means:
    """Mean of every value that is summed over by products, broadcastable to it; None where not known."""
    result: Means = coupling.graph.memo("known means", lambda _: _known_means(coupling))
    return result


def _known_means(coupling: Coupling) -> Means:
    wanted = read_values(coupling)
    found: dict[str, Array | None] = {}
    for met in trace_moments(coupling, wanted):
        for name, samples in zip(met.step.node.outputs, met.results, strict=False):
            if name in wanted:
                found[name] = None if samples is None else mean_of(samples)
    return found


@dataclass(frozen=True)
class _Lack:
    """What a value is short of on average, broadcastable to it, and the consumers that owe it."""

    amount: Array
    owers: frozenset[str]


@dataclass
class _Repair:
    """One walk: every value's lack is absorbed by a param, passed on, or reported."""

    coupling: Coupling
    kept: Mapping[Atom, Index]
    means: Means
    unrepaired: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    _lacks: dict[str, _Lack] = field(default_factory=dict)
    _given: dict[str, dict[str, _Lack]] = field(default_factory=dict)

    def pass_by(self, step: Step) -> None:
        """Settle what this node reads too little of."""
        cut = self._cut_reads(step)
        short = [i for i in step.data if step.node.inputs[i] in self._lacks]
        if cut or (short and step.op.flow.inflow is not None):
            self._through_weights(step, {**dict.fromkeys(short, frozenset[Atom]()), **cut})
        else:
            for position in short:
                self._through(step, position)
        for output in step.node.outputs:
            if output in self._lacks and output in self.coupling.graph.outputs:
                self._fail(self._lacks[output], f"it reaches the output '{output}'")
        drop(self._lacks, step.expired)

    def _cut_reads(self, step: Step) -> dict[int, frozenset[Atom]]:
        """Cut atoms that the node sums over, by operand."""
        summed = {leaf for dim in step.rule.contracted for leaf in atoms_of(dim)}
        found: dict[int, frozenset[Atom]] = {}
        for i in step.data:
            held = (leaf for dim in step.rule.operands[i] or () for leaf in atoms_of(dim) if leaf in summed)
            cut = {atom for leaf in held for atom in atoms_of(self.coupling.norm(leaf)) if atom in self.kept}
            if cut:
                found[i] = frozenset(cut)
        return found

    def _through_weights(self, step: Step, short: Mapping[int, frozenset[Atom]]) -> None:
        """A weighted sum: what its data lack, through its weights, is what its result lacks."""
        owers = frozenset({_label(step)})
        for i in short:
            held = self._lacks.get(str(step.node.inputs[i]))
            owers |= held.owers if held else frozenset()
        if len(step.data) > 1 or any(not linear(step, i) for i in short):
            self._fail(_Lack(np.zeros(1), owers), "it is no sum with fixed weights")
            return
        ((position, atoms),) = short.items()
        data = self._missing(step, position, atoms)
        if data is None:
            return
        made = _made(step, position, data)
        axes = _shared_axes(step, position)
        lack = _Lack(made.mean(axis=axes, keepdims=True), owers)
        if not self._absorbed(step, lack, result_slots(step), None):
            self._owe(step.node.outputs[0], lack)

    def _missing(self, step: Step, position: int, atoms: frozenset[Atom]) -> Array | None:
        """Data that the node should still get: the mean where it is cut, the lack elsewhere."""
        name, dims = str(step.node.inputs[position]), step.rule.operands[position] or ()
        lack, mean, shape = self._lacks.get(name), self.means.get(name), step.call.shape(position)
        if atoms and mean is None:
            groups = [group.name for group in self.coupling.prunable if group.atom in atoms]
            self.unknown.update(dict.fromkeys(groups))
            self.unrepaired[_label(step)] = f"no statistics say what the mean of {', '.join(groups)} is"
            if lack is None:
                return None
        index = kept_of(dims, self.coupling.norm, {leaf: self.kept[leaf] for leaf in atoms})
        stays = masked(np.ones(shape), index)
        short = np.zeros(shape) if lack is None else lack.amount * stays
        return short if mean is None else short + mean * (1 - stays)

    def _through(self, step: Step, position: int) -> None:
        """An operator without weights: a param of it takes the lack, or its result has it."""
        lack = self._lacks[str(step.node.inputs[position])]
        if self._absorbed(step, lack, data_slots(step, position), position):
            return
        gain = added(step, position)
        if gain is not None:
            shape = step.call.results[0]
            full = np.broadcast_to(lack.amount, step.call.shape(position))
            self._owe(step.node.outputs[0], _Lack(np.broadcast_to(full * gain, shape), lack.owers))
        elif carries(step, position):
            short, whole = (
                step.op.run(
                    step.call, tuple(_alone(step, i, position, amount) for i in range(len(step.call.shapes)))
                )
                for amount in (lack.amount, np.zeros(1))
            )
            for output, with_lack, without in zip(step.node.outputs, short, whole, strict=False):
                self._owe(output, _Lack(np.asarray(with_lack - without), lack.owers))
        else:
            self._fail(lack, f"'{_label(step)}' stands between it and the next bias")

    def _absorbed(self, step: Step, lack: _Lack, slots: tuple[int, ...], position: int | None) -> bool:
        """Note the lack for the first operand that can take it; ``position`` None: it is of the result."""
        dims = step.rule.results[0] if position is None else step.rule.operands[position]
        for slot in slots:
            param = self._repairable(step, slot)
            slot_dims = step.rule.operands[slot] if slot < len(step.rule.operands) else None
            if param is None or dims is None or slot_dims is None:
                continue
            amount = fit(lack.amount, dims, slot_dims)
            gain = response(step, slot) if position is None else exchange(step, position, slot)
            if amount is None or not gain:
                continue
            factor = 1 / gain if position is None else gain
            self._give(param, f"{step.node.name}:{slot}", _Lack(amount * factor, lack.owers))
            return True
        return False

    def _repairable(self, step: Step, slot: int) -> str | None:
        name = step.node.inputs[slot] if slot < len(step.node.inputs) else None
        param = self.coupling.graph.params.get(name) if name is not None else None
        return name if param is not None and param.trained and param.is_float else None

    def _give(self, param: str, reader: str, lack: _Lack) -> None:
        given = self._given.setdefault(param, {})
        given[reader] = _sum(given.get(reader), lack)

    def _owe(self, value: str, lack: _Lack) -> None:
        self._lacks[value] = _sum(self._lacks.get(value), lack)

    def _fail(self, lack: _Lack, reason: str) -> None:
        self.unrepaired.update(dict.fromkeys(sorted(lack.owers), f"nowhere to put it: {reason}"))

    def settled(self) -> dict[str, tuple[float, ...]]:
        """Amounts by param, where all that read it agree."""
        shifts = {}
        for name, given in self._given.items():
            amounts = [lack.amount for lack in given.values()]
            readers = {f"{node.name}:{at}" for node, at in self.coupling.graph.readers[name]}
            agree = all(np.allclose(amount, amounts[0], rtol=1e-6, atol=1e-12) for amount in amounts)
            if readers != set(given) or not agree or not np.all(np.isfinite(amounts[0])):
                for lack in given.values():
                    self._fail(lack, f"'{name}' is shared by nodes that need different amounts")
            elif np.any(amounts[0]):
                shifts[name] = _exact(amounts[0], self.coupling.graph, name)
        return shifts


def _alone(step: Step, position: int, carrier: int, amount: Array) -> Array | None:
    """An operand where only the carrier holds something; what is no float (indices) as it is."""
    if not step.call.has(position):
        return None
    shape, static = step.call.shape(position), step.static[position]
    if position == carrier:
        return np.broadcast_to(amount.astype(np.float64), shape)
    return np.zeros(shape) if static is None or is_float(static.dtype.name) else static


def _sum(before: _Lack | None, lack: _Lack) -> _Lack:
    return lack if before is None else _Lack(before.amount + lack.amount, before.owers | lack.owers)


def _made(step: Step, position: int, data: Array) -> Array:
    """What the node's weights make of ``data``, without what it adds whatever the data."""
    fixed = [None if i in result_slots(step) else array for i, array in enumerate(step.static)]
    made = step.op.run(step.call, (*fixed[:position], data, *fixed[position + 1 :]))[0]
    if sum(array is not None for array in fixed) > 1:
        made = made - step.op.run(step.call, (*fixed[:position], 0 * data, *fixed[position + 1 :]))[0]
    return np.asarray(made)


def _shared_axes(step: Step, position: int) -> tuple[int, ...]:
    """Axes of the result that the weights do not make: batch, positions."""
    weights = (
        dims for i, dims in enumerate(step.rule.operands) if i != position and i not in result_slots(step)
    )
    made = {leaf for dims in weights for dim in dims or () for leaf in atoms_of(dim)}
    return tuple(i for i, dim in enumerate(step.rule.results[0]) if made.isdisjoint(atoms_of(dim)))


def _exact(amount: Array, graph: Graph, name: str) -> tuple[float, ...]:
    """Numbers that the param's type holds, so that a plan in JSON says exactly what is added."""
    wide = graph.params[name].dtype == "float64"
    return tuple(float(number) for number in amount.ravel().astype("float64" if wide else "float32"))


def _label(step: Step) -> str:
    return step.node.origin.path or step.node.name
