"""Repair by least squares along the graph: what each weighted sum reads is fitted to what it made before.

The original and the pruned network advance together (:mod:`._twins`). Every weighted sum whose inputs were cut, or
differ since something upstream was, gets the weights that come nearest to the original's result from the inputs that
the pruned network really has; the last branch into a sum of branches repairs the sum. Errors of earlier fits are so
met by later ones. What decides is held out: no fit is kept that is no better on the other half of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

import msgspec
import numpy as np

from ...ir import Array, Node, WeightedSum, leaves, weighted_sum
from .._plan import Plan
from .._tensors import as_stored
from ..coupling import Coupling, kept_axes
from ._channel_fit import ChannelSums
from ._fits import Fitted, Layout, Rows, axes_of, by_channel, fitted, over_result
from ._rows import Result, drawn_rows
from ._slots import Follower, Reader, Slot, Sum, is_slope, slots, sum_of
from ._twins import Opener, Pair, Twins


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit.

    Attributes:
        rows: positions of a result that a fit looks at, at most.
        ridges: strengths of the pull to the weights as they were, of which each fit takes the best.
        rare: share of the positions that is drawn in proportion to how unusual the original's value is there.
        progress: is told how far it is, from 0 to 1.
    """

    rows: int = 20000
    ridges: tuple[float, ...] = (0.003, 0.03, 0.3, 3, 30)
    rare: float = 0.5
    progress: Callable[[float], None] = lambda share: None


@dataclass(frozen=True)
class Reconstruction:
    """A plan with fitted weights.

    Attributes:
        plan: the plan with ``tensors``.
        refitted: params that were changed.
        unchanged: nodes whose weights stay, since no fit does better on other inputs.
        unrepaired: nodes that read what the cut changes and could not be fitted, and why.
        ridges: by node the strength that was taken, None where the weights stay.
        errors: by node the share of the target's error that is left, outside the fit.
        samples: inputs it was fitted on.
    """

    plan: Plan
    refitted: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    unrepaired: Mapping[str, str] = field(default_factory=dict)
    ridges: Mapping[str, float | None] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0


def reconstruct(
    coupling: Coupling,
    plan: Plan,
    feeds: Iterable[Mapping[str, Array]],
    opener: Opener,
    options: FitOptions | None = None,
) -> Reconstruction:
    """``plan`` with weights fitted to what the original makes of ``feeds``.

    The proof of a cut holds with them as without: they belong to the masked model too.

    Args:
        feeds: inputs by name; the model's own precision decides nothing, fits are made in float64.
        opener: opens what runs a graph.

    Raises:
        UsageError: the inputs do not fit the model, or hold NaN.
    """
    if not plan.cuts:
        return Reconstruction(plan)
    return _Walk(Twins(coupling.graph, plan, feeds, opener), options or FitOptions()).run()


class _Fits:
    """The params that a walk has fitted so far, and its notes on the others."""

    def __init__(self, twins: Twins, options: FitOptions) -> None:
        self.twins, self.options = twins, options
        self.small = twins.base.small
        live = twins.base.coupling.static
        self.follower = Follower(
            self.small, lambda name: name in self.small.values and name not in live, twins.param
        )
        self.unrepaired: dict[str, str] = {}
        self.unchanged: list[str] = []
        self.ridges: dict[str, float | None] = {}
        self.errors: dict[str, float] = {}
        self.settled: set[str] = set()

    def _role(self, node: Node, role: str) -> str | None:
        """The param that only ``node`` reads, at the operand of this name."""
        step = self.follower.step(node)
        at = step.op.position(role)
        return None if at is None else self.follower.param(step, at)

    def _store(self, name: str, data: Array) -> None:
        """Put ``data`` in place of a param, rounded to what its type holds."""
        old = self.small.params[name]
        typed = np.asarray(data).reshape(old.shape).astype(old.read().dtype)
        self.twins.params[name] = as_stored(typed, old.dtype)

    def _planned(self) -> Plan:
        """The plan with what was fitted in the uncut params."""
        pair, plan = self.twins.base, self.twins.plan
        before = plan.shifted(self.twins.graph)
        tensors = dict(plan.tensors)
        for name, data in self.twins.params.items():
            whole = before[name] if name in before else self.twins.graph.params[name].read()
            tensors[name] = _scattered(pair, name, np.array(whole), data)
        shifts = {name: amounts for name, amounts in plan.shifts.items() if name not in self.twins.params}
        return msgspec.structs.replace(plan, tensors=tensors, shifts=shifts)


class _Walk(_Fits):
    """One walk along the graph."""

    def run(self) -> Reconstruction:
        twins, small = self.twins, {node.name: node for node in self.small.nodes}
        for at, node in enumerate(twins.nodes):
            if not twins.dirty.isdisjoint(node.outputs):
                self._visit(at, small[node.name])
            self.options.progress((at + 1) / len(twins.nodes))
        return Reconstruction(
            self._planned(),
            tuple(sorted(twins.params)),
            tuple(self.unchanged),
            dict(sorted(self.unrepaired.items())),
            self.ridges,
            self.errors,
            sum(chunk.samples for chunk in twins.chunks),
        )

    def _visit(self, at: int, node: Node) -> None:
        found = self._weighted(node)
        if isinstance(found, WeightedSum):
            self._fit_sum(at, node, found)
        elif found:
            self.unrepaired[_label(node)] = found
        elif self._has_affine(node):
            self._fit_affine(at, node)

    def _weighted(self, node: Node) -> WeightedSum | str:
        """The weighted sum of ``node`` that can be fitted; else the reason why not, empty where it has no weights."""
        step = self.follower.step(node)
        if len(step.data) != 1:
            return ""
        summed = {leaf for dim in step.rule.contracted for leaf in leaves(dim)}
        held = [
            at
            for at, dims in enumerate(step.rule.operands)
            if at not in step.data and any(leaf in summed for dim in dims or () for leaf in leaves(dim))
        ]
        if not held:
            return ""
        found = weighted_sum(self.small, node)
        if found is None:
            name = node.inputs[held[0]]
            is_param = name in self.small.params and self.small.params[str(name)].is_float
            why = (
                "is no weighted sum that can be fitted"
                if is_param
                else "has weights that are computed, or codes"
            )
            return f"'{node.op}' {why}"
        if self.follower.param(step, found.weight) is None:
            return f"'{node.inputs[found.weight]}' is read by several nodes, or is no trained weight"
        return found

    def _fit_sum(self, at: int, node: Node, base: WeightedSum) -> None:
        lay = Layout.of(self.small, node, base)
        current = np.zeros((base.groups, base.made)) if lay is None else lay.added(self.follower.step(node))
        if lay is None or np.any(np.isnan(current)):
            self.unrepaired[_label(node)] = f"what '{node.op}' adds cannot be told apart by channel"
            return
        self.twins.advance(at + 1, at)
        slot = self._slot(node, base, lay)
        found = self._fitted(node, base, current, slot)
        self.ridges[node.name], self.errors[node.name] = found.ridge, found.left
        if found.matrix is None:
            self.unchanged.append(node.name)
        else:
            self._store(str(node.inputs[base.weight]), base.weight_of(found.matrix))
        if slot is not None:
            more = slot.taken(lay.amount(found.intercept - current))
            assert more is not None
            self._store(slot.param, np.asarray(self.twins.param(slot.param), np.float64) + more)
        self.settled.add(str(node.outputs[0]))

    def _fitted(self, node: Node, base: WeightedSum, current: Array, slot: Slot | None) -> Fitted:
        sums = [self._sum_at(node, chunk.samples) for chunk in self.twins.chunks]
        name, how = str(node.outputs[0]), self.options

        def made(chunk: int) -> Array:
            return self.twins.original(name, chunk)

        drawn = drawn_rows(sums, made, how.rows, how.rare, crc32(node.name.encode()))
        still = np.zeros_like(current) if slot is not None else current
        start = base.matrix(np.asarray(self.twins.param(str(node.inputs[base.weight])), np.float64))
        rows = Rows(self.twins, node, sums, self._target(name, made), drawn, still)
        return fitted(rows, start, current, how.ridges, free=slot is not None)

    def _slot(self, node: Node, base: WeightedSum, lay: Layout) -> Slot | None:
        """The nearest param that can take one number for each channel."""
        probe = lay.amount(np.random.default_rng(0).standard_normal((base.groups, base.made)))
        found = slots(self.follower, node, base.bias)
        return next((slot for slot in found if slot.taken(probe) is not None), None)

    def _sum_at(self, node: Node, samples: int) -> WeightedSum:
        small = self.twins.pair(samples).small
        found = weighted_sum(small, next(one for one in small.nodes if one.name == node.name))
        assert found is not None
        return found

    def _target(self, name: str, made: Result) -> Result:
        """The original's result, with what the sum that it goes into lacks on top."""
        goes = sum_of(self.follower, name)
        if goes is None or goes.other not in self.twins.dirty or not self.twins.has(goes.other):
            return made
        return lambda chunk: made(chunk) + self._lack(goes, chunk, made(chunk).shape)

    def _lack(self, goes: Sum, chunk: int, shape: tuple[int, ...]) -> Array:
        twins = self.twins
        lack = (twins.original(goes.other, chunk) - twins.pruned(goes.other, chunk)) * goes.factor
        small = twins.pair(twins.chunks[chunk].samples).small
        reads = goes.path[-1].step.node.outputs[0] if goes.path else None
        whole = shape if reads is None else small.values[reads].shape
        return goes.back(np.broadcast_to(lack, whole).astype(np.float32), small)

    def _has_affine(self, node: Node) -> bool:
        """Return whether ``node`` has a scale of its own and does more than to slope what was fitted."""
        step = self.follower.step(node)
        if len(step.data) != 1 or not step.rule.results or self._role(node, "scale") is None:
            return False
        read = str(node.inputs[step.data[0]])
        return read not in self.settled or not is_slope(self.small, Reader(step, step.data[0]))

    def _fit_affine(self, at: int, node: Node) -> None:
        twins, name = self.twins, str(node.outputs[0])
        step, scale, shift = self.follower.step(node), self._role(node, "scale"), self._role(node, "shift")
        dims = step.rule.operands[step.op.position("scale") or 0] or ()
        axes = axes_of(dims, step.rule.results[0])
        if scale is None or axes is None:
            return
        twins.advance(at + 1, at + 1)
        sums = ChannelSums(tuple(dim.size for dim in dims))
        for chunk in range(len(twins.chunks)):
            made, target = twins.pruned(name, chunk), twins.original(name, chunk)
            sums.add(by_channel(made, axes), by_channel(target, axes), twins.folds(name, chunk, axes))
        found = sums.solve(shifted=shift is not None)
        self.errors[node.name] = found.error_after / max(found.error_before, 1e-30)
        if not found.changed:
            self.unchanged.append(node.name)
            return
        self._store(scale, np.asarray(twins.param(scale), np.float64) * found.gain)
        if shift is not None:
            self._store(shift, np.asarray(twins.param(shift), np.float64) * found.gain + found.shift)
        gain, offset = (
            over_result(one, axes, len(step.rule.results[0])) for one in (found.gain, found.shift)
        )
        for chunk in range(len(twins.chunks)):
            made = twins.pruned(name, chunk)
            twins.replace(name, chunk, (made * gain + offset).astype(made.dtype))


def _scattered(pair: Pair, name: str, whole: Array, data: Array) -> Array:
    index = kept_axes(pair.coupling, pair.kept, name)
    if not whole.ndim:
        return data
    grid = [np.arange(size) if keep is None else keep for size, keep in zip(whole.shape, index, strict=True)]
    whole[np.ix_(*grid)] = data
    return whole


def _label(node: Node) -> str:
    return node.origin.path or node.name
