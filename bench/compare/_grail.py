"""The repair of GRAIL (CPAL 2026, arXiv 2602.23795), reconstructed from its description; none of its code was used.

What a consumer reads is regressed on what is kept of it, by ridge towards zero on the original network's own
activations of unlabelled inputs, and the regression goes into the consumer's weights: ``W' = W B``. Blocks do not
know of each other: no consumer sees the errors of those before it, no sum of branches is a target, and there is no
intercept. The authors write this by hand for each architecture; here it is one walk along the graph, and the Gram
matrix of a convolution covers its taps, which can only help it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from zlib import crc32

import msgspec
import numpy as np

from prunepass.ir import NumpyExecutor, leaves, weighted_sum
from prunepass.passes import State, calibration_of, couple, cut
from prunepass.passes.coupling import kept_axes
from prunepass.passes.rewrites._rows import drawn_rows
from prunepass.passes.rewrites._twins import Twins

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grail:
    """Ridge towards zero for each consumer of a cut.

    Attributes:
        count: unlabelled inputs; the paper says that 128 are enough.
        ridge: strength, as a share of the mean diagonal of the Gram matrix.
        rows: positions of a result that a fit looks at, at most.
    """

    name: ClassVar[str] = "grail"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ()
    count: int = 128
    ridge: float = 1e-3
    rows: int = 20000

    def __call__(self, state: State) -> State:
        plan = state.need("plan", self.name)
        feeds = calibration_of(state, self.count).fit
        twins = Twins(couple(state.original).graph, plan, feeds, state.executor or NumpyExecutor)
        tensors = self._tensors(twins) if plan.cuts else {}
        plan = msgspec.structs.replace(plan, tensors={**plan.tensors, **tensors})
        return with_plan(state, plan)

    def _tensors(self, twins: Twins) -> dict[str, Array]:
        small = {node.name: node for node in twins.base.small.nodes}
        coupling, kept, found = twins.base.coupling, twins.base.kept, dict[str, Array]()
        for at, node in enumerate(twins.nodes):
            base = weighted_sum(twins.base.small, small[node.name])
            if base is None or not _is_cut(twins, node, base.data):
                continue
            name = str(node.inputs[base.weight])
            if len(coupling.graph.readers[name]) != 1 or name in found:
                continue
            twins.advance(at, at)
            twins.advance(at + 1, at)
            matrix = self._fit(twins, small[node.name])
            found[name] = scattered(
                twins.graph.params[name].read(), base.weight_of(matrix), kept_axes(coupling, kept, name)
            )
        return found

    def _fit(self, twins: Twins, node: Any) -> Array:
        chunks = range(len(twins.chunks))
        graphs = [twins.pair(twins.chunks[at].samples).small for at in chunks]
        sums = [
            weighted_sum(graph, next(one for one in graph.nodes if one.name == node.name)) for graph in graphs
        ]
        found = [one for one in sums if one is not None]
        data, made = str(node.inputs[found[0].data]), str(node.outputs[0])
        drawn = drawn_rows(
            found, lambda at: twins.original(made, at), self.rows, 0.0, crc32(node.name.encode())
        )
        groups, outputs, terms = found[0].groups, found[0].made, found[0].terms_
        left, right = np.zeros((groups, terms, terms)), np.zeros((groups, terms, outputs))
        added = self._added(twins, node, found[0])
        for at, rows in enumerate(drawn):
            for part in np.array_split(rows, max(1, len(rows) * groups * terms >> 22)):
                z = found[at].terms(twins.original(data, at), part).astype(np.float64).transpose(1, 0, 2)
                t = (found[at].made_at(twins.original(made, at), part) - added).transpose(1, 0, 2)
                left += z.transpose(0, 2, 1) @ z
                right += z.transpose(0, 2, 1) @ t
        scale = np.trace(left, axis1=1, axis2=2) / terms
        left += (self.ridge * scale + 1e-12)[:, None, None] * np.eye(terms)
        return np.linalg.solve(left, right).transpose(0, 2, 1)

    def _added(self, twins: Twins, node: Any, base: Any) -> Array:
        """The node's own bias, which stays."""
        if base.bias is None:
            return np.zeros((base.groups, base.made))
        bias = np.asarray(twins.param(str(node.inputs[base.bias])), np.float64)
        return np.broadcast_to(bias.reshape(-1), base.groups * base.made).reshape(base.groups, base.made)


def _is_cut(twins: Twins, node: Any, data: int) -> bool:
    """Whether the node sums over an axis of which the cut takes something."""
    small = {one.name: one for one in twins.base.small.nodes}[node.name]
    index = kept_axes(twins.base.coupling, twins.base.kept, str(node.inputs[data]))
    op = weighted_sum(twins.base.small, small)
    if op is None:
        return False
    summed = {id(leaf) for dim in op.rule.contracted for leaf in leaves(dim)}
    dims = op.rule.operands[data] or ()
    return any(
        keep is not None and any(id(leaf) in summed for leaf in leaves(dim))
        for keep, dim in zip(index, dims, strict=True)
    )


def scattered(whole: Array, data: Array, index: Any) -> Array:
    """``whole`` with ``data`` at what is kept of it."""
    made = np.array(whole)
    grid = [np.arange(size) if keep is None else keep for size, keep in zip(whole.shape, index, strict=True)]
    made[np.ix_(*grid)] = data.astype(whole.dtype)
    return made


def with_plan(state: State, plan: Any) -> State:
    """``state`` with another plan, cut anew where it was cut already."""
    whole = state.having(plan=plan)
    return whole if state.graph is state.original else replace(whole, graph=cut(state.original, plan))
