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

from ...ir import Array, Atom, Dims, Index, atoms_of, kept_of, masked
from .._plan import Plan
from ..analyses import (
    Constant,
    added,
    carries,
    constants,
    data_slots,
    exchange,
    fit,
    is_linear,
    mean_of,
    one_sample,
    read_values,
    refitted,
    response,
    result_slots,
    trace_moments,
)
from ..coupling import Coupling, Step, drop, steps
from ._deficit import (
    Deficit,
    Missing,
    alike,
    alone,
    exactly,
    made_of,
    marked,
    missing,
    shared_axes,
    staying,
    together,
    without_cut_rows,
)
from ._shifts import Shifts
from ._unrepaired import Unrepaired

Means = Mapping[str, "Array | None"]


@dataclass(frozen=True)
class Compensation:
    """A plan with its repair.

    Attributes:
        plan: the plan with ``shifts``.
        repaired: names of the params that change.
        unrepaired: what could not be repaired and why, by consumer.
        unknown: names of cut groups whose mean is not known to some consumer.
        inexact: by name of each cut group the channels whose cut still changes the outputs, or may.
    """

    plan: Plan
    repaired: tuple[str, ...]
    unrepaired: Mapping[str, str]
    unknown: tuple[str, ...]
    inexact: Mapping[str, Index] = field(default_factory=dict)


def compensate(coupling: Coupling, plan: Plan, means: Means | None = None) -> Compensation:
    """``plan`` with the means of what it cuts moved into trained params that no cut or tie forbids to change.

    The proof of a cut holds with shifts as without: they belong to the masked model too.

    Args:
        means: of values that are read, by name, broadcastable to one sample of them; None takes what the model's own
            normalisations say.
    """
    small = one_sample(coupling)
    known = known_means(small) if means is None else means
    repair = _Repair(small, plan.kept(small), known, constants(small))
    for step in steps(small):
        repair.pass_by(step)
    shifts = _together(refitted(coupling, plan.kept(coupling)), repair.settled())
    repaired = msgspec.structs.replace(plan, shifts=shifts)
    left = repair.left
    moving = {g.name: left.inexact[g.atom] for g in small.prunable if g.atom in left.inexact}
    return Compensation(
        repaired,
        tuple(sorted(shifts)),
        dict(sorted(left.unrepaired.items())),
        tuple(left.unknown),
        {name: np.flatnonzero(marks) for name, marks in moving.items() if np.any(marks)},
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


@dataclass
class _Repair:
    """One walk: every value's deficit is absorbed by a param, passed on, or reported."""

    coupling: Coupling
    kept: Mapping[Atom, Index]
    means: Means
    constants: Mapping[str, Constant]
    left: Unrepaired = field(default_factory=Unrepaired)
    _shifts: Shifts = field(default_factory=Shifts)
    _deficits: dict[str, Deficit] = field(default_factory=dict)

    def pass_by(self, step: Step) -> None:
        """Settle what this node reads too little of."""
        cut = self._cut_reads(step)
        short = [i for i in step.data if step.node.inputs[i] in self._deficits]
        if cut or (short and step.op.flow.inflow is not None):
            self._through_weights(step, {**dict.fromkeys(short, frozenset[Atom]()), **cut})
        else:
            for position in short:
                self._through(step, position)
        for output in step.node.outputs:
            if output in self._deficits and output in self.coupling.graph.outputs:
                self.left.fail(self._deficits[output], f"it reaches the output '{output}'")
        drop(self._deficits, step.expired)

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
        """A weighted sum: the deficit of its data, through its weights, is that of its result."""
        step = without_cut_rows(self.coupling, step, self.kept)
        deficit = self._read(step, short)
        if deficit is None:
            return
        if len(step.data) > 1 or any(not is_linear(self.coupling.graph, step, i) for i in short):
            self.left.fail(deficit, "it is no sum with fixed weights")
            return
        position = next(iter(short))
        whole = made_of(step, position, deficit.amount)
        made = deficit.of(whole.mean(axis=shared_axes(step, position), keepdims=True))
        if not alike(whole, made.amount):
            self.left.blur(made, "what it lacks differs from place to place, as at padded borders")
        if np.any(made.amount) and not self._absorbed(step, made, result_slots(step), None):
            self._carry(step, step.node.outputs[0], made)

    def _read(self, step: Step, short: Mapping[int, frozenset[Atom]]) -> Deficit | None:
        """The deficit of the operands; of several no more than the consumers that it comes from."""
        found = [self._missing(step, position, atoms) for position, atoms in short.items()]
        deficits = [deficit for deficit in found if deficit is not None]
        return deficits[0] if len(deficits) == 1 else together(deficits) if deficits else None

    def _missing(self, step: Step, position: int, atoms: frozenset[Atom]) -> Deficit | None:
        """Data that the node should still get at one operand; None where it is known that there is nothing."""
        name, dims = str(step.node.inputs[position]), step.rule.operands[position] or ()
        index = kept_of(dims, self.coupling.norm, {leaf: self.kept[leaf] for leaf in atoms})
        stays = masked(np.ones(step.call.shape(position)), index)
        given = tuple(self.constants.get(str(read)) for read in step.node.inputs)
        cut = missing(self.coupling, step, position, stays == 0, self.means.get(name), given)
        self._note_unknown(step, cut, dims, atoms)
        constant = not np.any(cut.moving)
        self.left.mark(marked(cut.moving, dims, self.coupling, atoms))
        due = marked(cut.effective, dims, self.coupling, atoms)
        found = Deficit(cut.amount, frozenset({_label(step)}), due, constant)
        before = self._deficits.get(name)
        if before is not None:
            return found + before.of(before.amount * stays)
        return found if np.any(cut.effective) else None

    def _note_unknown(self, step: Step, cut: Missing, dims: Dims, atoms: frozenset[Atom]) -> None:
        found = marked(cut.unknown, dims, self.coupling, atoms)
        groups = [g.name for g in self.coupling.prunable if g.atom in found and np.any(found[g.atom])]
        if groups:
            self.left.lack_statistics(_label(step), groups)

    def _through(self, step: Step, position: int) -> None:
        """An operator without weights: a param of it takes the deficit, or its result has it."""
        deficit = self._deficits[str(step.node.inputs[position])]
        if self._absorbed(step, deficit, data_slots(step, position), position):
            return
        gain = added(step, position)
        if gain is not None:
            shape = step.call.results[0]
            full = np.broadcast_to(deficit.amount, step.call.shape(position))
            self._carry(step, step.node.outputs[0], deficit.of(np.broadcast_to(full * gain, shape)))
        elif carries(step, position):
            short, whole = (
                step.op.run(
                    step.call, tuple(alone(step, i, position, amount) for i in range(len(step.call.shapes)))
                )
                for amount in (deficit.amount, np.zeros(1))
            )
            for output, with_lack, without in zip(step.node.outputs, short, whole, strict=False):
                self._carry(step, output, deficit.of(with_lack - without))
        else:
            self.left.fail(deficit, f"'{_label(step)}' stands between it and the next bias")

    def _absorbed(self, step: Step, deficit: Deficit, slots: tuple[int, ...], position: int | None) -> bool:
        """Note the deficit for the first operand that can take it; ``position`` None: it is of the result."""
        dims = step.rule.results[0] if position is None else step.rule.operands[position]
        for slot in slots:
            param = self._repairable(step, slot)
            slot_dims = step.rule.operands[slot] if slot < len(step.rule.operands) else None
            if param is None or dims is None or slot_dims is None:
                continue
            amount = fit(deficit.amount, dims, slot_dims)
            gain = response(step, slot) if position is None else exchange(step, position, slot)
            if amount is None or not gain:
                continue
            if not exactly(deficit.amount, dims, amount, slot_dims):
                self.left.blur(deficit, f"'{param}' holds one number for what differs")
            factor = 1 / gain if position is None else gain
            self._shifts.give(param, f"{step.node.name}:{slot}", deficit.of(amount * factor))
            return True
        return False

    def _repairable(self, step: Step, slot: int) -> str | None:
        name = step.node.inputs[slot] if slot < len(step.node.inputs) else None
        param = self.coupling.graph.params.get(name) if name is not None else None
        return name if param is not None and param.trained and param.is_float else None

    def _carry(self, step: Step, value: str, deficit: Deficit) -> None:
        """Note the deficit of a value where it is not cut itself."""
        dims = step.rule.results[step.node.outputs.index(value)]
        index = kept_of(dims, self.coupling.norm, self.kept)
        deficit = deficit.of(staying(deficit.amount, index, tuple(dim.size for dim in dims)))
        if np.any(deficit.amount):
            self._deficits[value] = self._deficits[value] + deficit if value in self._deficits else deficit

    def settled(self) -> dict[str, tuple[float, ...]]:
        """Amounts by param, where all that read it agree."""
        shifts, disputed = self._shifts.settled(self.coupling.graph)
        for name, deficits in disputed.items():
            for deficit in deficits:
                self.left.fail(deficit, f"'{name}' is shared by nodes that need different amounts")
        return shifts


def _label(step: Step) -> str:
    return step.node.origin.path or step.node.name
