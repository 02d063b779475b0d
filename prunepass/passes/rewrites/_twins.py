"""The original and the pruned network, advanced together over the same inputs.

Every value of the pruned network is to approximate what is kept of the original's value of the same name. Where
nothing upstream was cut it is just that, and only the original is run. Values go after their last reader.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...ir import (
    Array,
    Batching,
    Executor,
    Graph,
    Kept,
    Node,
    UnsupportedError,
    UsageError,
    atoms_of,
    batching,
    gather,
    rebatched,
    rule_of,
)
from .._plan import Plan
from ..analyses import batched_inputs, named_inputs
from ..coupling import Coupling, couple, kept_axes, narrowed

Opener = Callable[[Graph], Executor]
_ENTRIES = 1 << 23
"""Entries of the largest value of what runs at once."""


@dataclass(frozen=True)
class Chunk:
    """Inputs that run at once.

    Attributes:
        start: number of its first sample among all.
        samples: how many there are.
    """

    inputs: Mapping[str, Array]
    start: int
    samples: int


@dataclass(frozen=True, eq=False)
class Pair:
    """Both networks at one number of samples."""

    coupling: Coupling
    kept: Kept
    small: Graph

    @staticmethod
    def of(graph: Graph, plan: Plan) -> Pair:
        coupling = couple(graph)
        kept = plan.kept(coupling)
        return Pair(coupling, kept, narrowed(coupling, kept, plan.shifted(graph)))

    def kept_of(self, name: str, array: Array) -> Array:
        """The part of a value of the original that the cut keeps."""
        return gather(array, kept_axes(self.coupling, self.kept, name))


class Twins:
    """See the module.

    Attributes:
        base: both networks as captured.
        nodes: what depends on the inputs and is needed, in order.
        dirty: values of the pruned network that are not just what is kept of the original's.
        params: data of params of the pruned network that were fitted, cut.
    """

    def __init__(
        self, graph: Graph, plan: Plan, feeds: Iterable[Mapping[str, Array]], opener: Opener
    ) -> None:
        self.graph, self.plan = graph, plan
        self.base = Pair.of(graph, plan)
        static = self.base.coupling.static
        self.nodes = tuple(
            node
            for node in graph.nodes
            if node.name in graph.needed and node.outputs and node.outputs[0] not in static
        )
        self.dirty = _dirty(self.base, self.nodes, {*plan.shifts, *plan.tensors})
        self.params: dict[str, Array] = {}
        self.chunks = chunked(graph, feeds)
        self._axes = _how(graph).axes
        self._pairs = {self.samples_at_capture: self.base}
        self._runs = opener(graph), opener(self.base.small)
        self._last = {name: at for at, node in enumerate(self.nodes) for name in node.inputs if name}
        self._at = [0, 0]
        self._held: tuple[list[dict[str, Array]], list[dict[str, Array]]] = (
            [dict(chunk.inputs) for chunk in self.chunks],
            [{} for _ in self.chunks],
        )

    @property
    def samples_at_capture(self) -> int:
        return _samples(self.graph)

    def pair(self, samples: int) -> Pair:
        """Both networks at this number of samples."""
        if samples not in self._pairs:
            self._pairs[samples] = Pair.of(rebatched(self.graph, _how(self.graph), samples), self.plan)
        return self._pairs[samples]

    def param(self, name: str) -> Array:
        """Data of a param of the pruned network as it is now."""
        return self.params[name] if name in self.params else self.base.small.params[name].read()

    def original(self, name: str, chunk: int) -> Array:
        """The kept part of a value of the original."""
        return self.pair(self.chunks[chunk].samples).kept_of(name, self._held[0][chunk][name])

    def pruned(self, name: str, chunk: int) -> Array:
        """A value of the pruned network."""
        return self._held[1][chunk][name] if name in self.dirty else self.original(name, chunk)

    def has(self, name: str) -> bool:
        """Return whether both networks hold a value."""
        return name in self._held[0][0] and (name not in self.dirty or name in self._held[1][0])

    def replace(self, name: str, chunk: int, array: Array) -> None:
        """Put ``array`` in place of a value of the pruned network."""
        self._held[1][chunk][name] = array

    def folds(self, name: str, chunk: int, channels: Collection[int]) -> Array:
        """0 or 1 for each position of a value, by its sample; positions are what other axes than ``channels`` count."""
        each = self.chunks[chunk]
        shape = [1 if at in channels else size for at, size in enumerate(self.pruned(name, chunk).shape)]
        axis = self._axes.get(name)
        folds = np.full(shape, each.start % 2)
        if axis is not None and axis not in channels:
            inner = max(1, shape[axis] // each.samples)
            numbers = each.start + np.arange(shape[axis]) // inner
            folds[...] = (numbers % 2).reshape(*(-1 if at == axis else 1 for at in range(len(shape))))
        return folds.reshape(-1)

    def advance(self, original: int, pruned: int) -> None:
        """Run each network up to the node of this number, that one not included."""
        self._run_original(original)
        self._run_pruned(pruned)
        for held in self._held:
            for values in held:
                for name in [name for name in values if self._last.get(name, len(self.nodes)) < pruned]:
                    del values[name]

    def _run_original(self, until: int) -> None:
        part = self.nodes[self._at[0] : until]
        if not part:
            return
        made = {name for node in part for name in node.outputs if name}
        crossing = {name for node in part if self._is_dirty(node) for name in node.inputs} - self.dirty
        wanted = {name for name in made if self._last.get(name, -1) >= until or name in crossing}
        wanted.update(part[-1].outputs[:1])
        self._walk(0, part, wanted, lambda name, at: self._held[0][at][name], {})
        self._at[0] = until

    def _run_pruned(self, until: int) -> None:
        part = [node for node in self.nodes[self._at[1] : until] if self._is_dirty(node)]
        self._at[1] = max(until, self._at[1])
        if not part:
            return
        made = {name for node in part for name in node.outputs if name}
        wanted = {name for name in made if self._last.get(name, -1) >= until}
        wanted.update(part[-1].outputs[:1] if part[-1] is self.nodes[until - 1] else ())
        self._walk(1, part, wanted, self.pruned, self.params)

    def _walk(
        self,
        which: int,
        part: Sequence[Node],
        wanted: Collection[str],
        value: Callable[[str, int], Array],
        params: Mapping[str, Array],
    ) -> None:
        executor = self._runs[which]
        read = {name for node in part for name in node.inputs if name}
        made = {name for node in part for name in node.outputs}
        outside = [
            name
            for name in read - made
            if name in self.graph.values and name not in self.base.coupling.static
        ]
        given = {name: array for name, array in params.items() if name in read}
        for at in range(len(self.chunks) if wanted else 0):
            fed = {name: value(name, at) for name in outside}
            for name, tensor in executor.walk(fed, wanted=wanted, params=given):
                self._held[which][at][name] = executor.array(tensor)

    def _is_dirty(self, node: Node) -> bool:
        return not self.dirty.isdisjoint(node.outputs)


def _dirty(pair: Pair, nodes: Iterable[Node], changed: Collection[str]) -> frozenset[str]:
    """Values that a cut changes: a node sums, or takes statistics, over what is cut, or reads what is changed."""
    found = set[str](changed)
    for node in nodes:
        rule, norm = rule_of(pair.coupling.graph, node), pair.coupling.norm
        over = (*rule.contracted, *rule.statistics, *rule.centred, *(dim for dim, _ in rule.mixed))
        cut = any(leaf in pair.kept for dim in over for leaf in atoms_of(norm(dim)))
        if cut or not found.isdisjoint(name for name in node.inputs if name):
            found.update(name for name in node.outputs if name)
    return frozenset(found - set(changed))


def chunked(graph: Graph, feeds: Iterable[Mapping[str, Array]]) -> tuple[Chunk, ...]:
    """All inputs in as few runs as the model and the memory take.

    Raises:
        UsageError: they do not fit the model, or hold NaN.
    """
    checked = [named_inputs(feed, graph, f"calibration input {at + 1}") for at, feed in enumerate(feeds)]
    if not checked:
        raise UsageError("there are no inputs to fit on", advice="a single one is enough")
    if len(batched_inputs(graph)) < len(graph.inputs):
        return _numbered(inputs for inputs, _ in checked)
    whole = {name: np.concatenate([inputs[name] for inputs, _ in checked]) for name in graph.inputs}
    count, own = sum(samples for _, samples in checked), _samples(graph)
    if not _free(graph):
        whole = {name: np.resize(array, (max(count, own), *array.shape[1:])) for name, array in whole.items()}
        starts = range(0, max(count, own) - own + 1, own)
        return _numbered({name: array[at : at + own] for name, array in whole.items()} for at in starts)
    largest = max((prod(value.shape) for value in graph.values.values()), default=1) // own
    parts = -(-count // max(1, min(count, _ENTRIES // max(largest, 1))))
    split = {name: np.array_split(array, parts) for name, array in whole.items()}
    return _numbered({name: pieces[at] for name, pieces in split.items()} for at in range(parts))


def _numbered(feeds: Iterable[Mapping[str, Array]]) -> tuple[Chunk, ...]:
    chunks, start = list[Chunk](), 0
    for inputs in feeds:
        samples = max((len(array) for array in inputs.values() if array.ndim), default=1)
        chunks.append(Chunk(inputs, start, samples))
        start += samples
    return tuple(chunks)


def _samples(graph: Graph) -> int:
    return next((graph.values[name].shape[0] for name in graph.inputs if graph.values[name].shape), 1)


def _how(graph: Graph) -> Batching:
    """Batching of the model: how it follows the number of samples."""
    found: Batching = batching(graph, frozenset((name, 0) for name in batched_inputs(graph)))
    return found


def _free(graph: Graph) -> bool:
    """Return whether the model runs any number of samples at once, and is coupled alike."""
    found = _how(graph)
    if found.refused or found.together or found.unknown:
        return False
    own = _samples(graph)
    try:
        other = couple(rebatched(graph, found, own + 1))
    except UnsupportedError:
        return False
    return [(one.name, one.size) for one in couple(graph).prunable] == [
        (one.name, one.size) for one in other.prunable
    ]
