"""The repair of Model Folding (ICLR 2025), reconstructed from its description; none of its code was used.

Channels are merged, not dropped: here, so that all repairs stand on one plan, each channel that the plan removes
joins the kept one whose producing weights are nearest. What makes the channels (filters, biases, normalisations) is
averaged over a cluster, what reads them is summed. An average varies less than its parts, by the factor
``(1 + (n - 1) c) / n`` for ``n`` parts with mean correlation ``c``: without data the running variances take it, with
``c`` from the filters (the paper's approximate REPAIR); with data the running statistics are measured anew (REPAIR).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from prunepass.ir import Graph, Node, NumpyExecutor, registry
from prunepass.passes import Coupling, Group, State, calibration_of, couple, cut
from prunepass.passes.coupling import kept_axes

from ._grail import scattered, with_plan

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Fold:
    """Merge what is cut into what is kept.

    Attributes:
        count: unlabelled inputs to measure the running statistics on; 0: from the filters alone.
    """

    name: ClassVar[str] = "fold"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ()
    count: int = 0

    def __call__(self, state: State) -> State:
        plan, coupling = state.need("plan", self.name), couple(state.original)
        params = dict[str, Array]()
        for group in coupling.prunable:
            if group.name in plan.cuts:
                _merge(coupling, group, np.asarray(plan.cuts[group.name].remove), params)
        plan = msgspec.structs.replace(plan, tensors={**plan.tensors, **params})
        if self.count and plan.cuts:
            plan = msgspec.structs.replace(plan, tensors={**plan.tensors, **self._measured(state, plan)})
        return with_plan(state, plan)

    def _measured(self, state: State, plan: Any) -> dict[str, Array]:
        """Running statistics of every normalisation as the pruned network has them, one after the other."""
        small, coupling = cut(state.original, plan), couple(state.original)
        runs, feeds = (state.executor or NumpyExecutor)(small), calibration_of(state, self.count).fit
        kept, fresh, found = plan.kept(coupling), dict[str, Array](), dict[str, Array]()
        for node, names in _normalisations(small):
            read = str(node.inputs[0])
            arrays = [
                np.asarray(runs.array(tensor), np.float64)
                for feed in feeds
                for _, tensor in runs.walk(feed, wanted={read}, params=fresh)
            ]
            every = np.concatenate(arrays)
            axes = (0, *range(2, every.ndim))
            for name, made in zip(names, (every.mean(axes), every.var(axes)), strict=True):
                fresh[name] = made.astype(small.params[name].read().dtype)
                whole = plan.tensors[name] if name in plan.tensors else state.original.params[name].read()
                found[name] = scattered(np.asarray(whole), fresh[name], kept_axes(coupling, kept, name))
        return found


def _normalisations(graph: Graph) -> Iterator[tuple[Node, tuple[str, str]]]:
    """Nodes with running statistics that can be set, and the names of these."""
    for node in graph.nodes:
        places = [registry()[node.op].position(role) for role in ("mean", "var")]
        names = [str(node.inputs[at]) for at in places if at is not None and at < len(node.inputs)]
        if len(names) == 2 and all(name in graph.params for name in names) and node.inputs[0] in graph.values:
            yield node, (names[0], names[1])


def _merge(coupling: Coupling, group: Group, removed: Array, params: dict[str, Array]) -> None:
    graph, nodes = coupling.graph, {node.name: node for node in coupling.graph.nodes}
    members = [one for one in dict.fromkeys(group.members) if one.tensor in graph.params]
    places = {(one.tensor, one.axis): _places(coupling, group, one.tensor, one.axis) for one in members}

    def data(name: str) -> Array:
        return params.setdefault(name, np.array(graph.params[name].read()))

    made = [
        np.moveaxis(graph.params[one.tensor].read(), one.axis, 0)[places[one.tensor, one.axis]].reshape(
            group.size, -1
        )
        for one in members
        if one.role == "produced"
    ]
    if not made:
        return
    filters = np.concatenate(made, 1).astype(np.float64)
    done = set[tuple[str, int]]()
    clusters = list(_clusters(filters, removed))
    for one in members:
        place = (one.tensor, one.axis)
        if place in done or not graph.params[one.tensor].is_float:
            continue
        done.add(place)
        rows = np.moveaxis(data(one.tensor), one.axis, 0)
        spread = _holds_variance(nodes.get(one.node), one.tensor)
        for kept, joined in clusters:
            parts = np.stack([rows[places[place][channel]] for channel in joined])
            together = parts.sum(0) if one.role == "contracted" else parts.mean(0)
            factor = _shrunk(filters[list(joined)]) if spread else 1.0
            rows[places[place][kept]] = together * factor


def _places(coupling: Coupling, group: Group, tensor: str, axis: int) -> Array:
    """Positions of every channel on an axis, ``(channels, positions of each)``."""
    every, found = np.arange(group.size), []
    size = coupling.graph.params[tensor].shape[axis]
    for channel in every:
        assert group.atom is not None
        kept: Mapping[Any, Any] = {group.atom: np.delete(every, channel)}
        stays = kept_axes(coupling, kept, tensor)[axis]
        found.append(np.setdiff1d(np.arange(size), every[:0] if stays is None else stays))
    return np.stack(found)


def _clusters(filters: Array, removed: Array) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Kept channels that others join, with all that are then together."""
    kept = np.setdiff1d(np.arange(len(filters)), removed)
    far = ((filters[removed, None] - filters[None, kept]) ** 2).sum(2)
    nearest = kept[far.argmin(1)]
    for channel in np.unique(nearest):
        yield int(channel), (int(channel), *removed[nearest == channel].tolist())


def _shrunk(filters: Array) -> float:
    """Variance of an average as a share of that of its parts."""
    unit = filters / np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-12)
    count = len(unit)
    alike = float((unit @ unit.T).sum() - count) / (count * (count - 1))
    return max((1 + (count - 1) * alike) / count, 1e-3)


def _holds_variance(node: Node | None, tensor: str) -> bool:
    at = None if node is None else registry()[node.op].position("var")
    return node is not None and at is not None and at < len(node.inputs) and node.inputs[at] == tensor
