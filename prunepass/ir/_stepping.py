"""Base class of executors that run a graph node by node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ._batch import rebatched
from ._errors import UsageError
from ._graph import Array, Graph, Node
from ._schedule import Schedule, scheduled
from ._slices import Slices, slices_of

Tensor: TypeAlias = Any
Masks: TypeAlias = Mapping[tuple[str, int], Array]

_KEPT = 4


@dataclass(frozen=True)
class Walk:
    """One run, all of it in tensors of the host.

    Attributes:
        given: values that are there; they are dropped one by one.
        params: replaced data of params.
        masks: what reads are multiplied by.
    """

    schedule: Schedule
    given: Mapping[str, Tensor]
    wanted: frozenset[str]
    params: Mapping[str, Tensor] = field(default_factory=dict)
    masks: Mapping[tuple[str, int], Tensor] = field(default_factory=dict)


class StepExecutor(ABC):
    """An executor over single nodes.

    Another number of samples than that of the capture is run in one go where all sizes follow from it
    (:func:`rebatched`), else in slices as large as the capture whose values are joined.
    """

    def __init__(self, graph: Graph, dtype: str = "float32") -> None:
        if dtype not in ("float32", "float64"):
            raise UsageError(f"an executor computes in float32 or float64, not in '{dtype}'")
        self.graph, self.dtype = graph, dtype
        self._others = OrderedDict[tuple[int, frozenset[tuple[str, int]]], StepExecutor]()

    @abstractmethod
    def at(self, graph: Graph) -> StepExecutor:
        """An executor of ``graph``: this one's with another number of samples."""

    @abstractmethod
    def tensor(self, array: Any) -> Tensor:
        """``array`` as a tensor of the host, floats in the executor's type."""

    @abstractmethod
    def array(self, tensor: Tensor) -> Array:
        """``tensor`` as a numpy array."""

    @abstractmethod
    def param(self, name: str) -> Tensor:
        """The data of a param."""

    @abstractmethod
    def step(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """The results of one node."""

    @abstractmethod
    def masked(self, tensor: Tensor, mask: Tensor) -> Tensor:
        """``tensor`` multiplied by ``mask``, in its own type; 0 where the mask is."""

    @abstractmethod
    def join(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """``parts`` one after the other."""

    def walk(
        self,
        given: Mapping[str, Tensor],
        *,
        wanted: Collection[str],
        params: Mapping[str, Array] | None = None,
        masks: Masks | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each wanted value as it is made, see :class:`prunepass.ir.Executor`."""
        walk = self.checked(given, wanted, params, masks)
        other = self.fitting(walk)
        return self._sliced(walk, other) if isinstance(other, Slices) else other.steps(walk)

    def checked(
        self,
        given: Mapping[str, Tensor],
        wanted: Collection[str],
        params: Mapping[str, Array] | None = None,
        masks: Masks | None = None,
    ) -> Walk:
        """The walk that is asked for, checked.

        Raises:
            UsageError: a name is not known or missing, a param has another shape.
        """
        schedule = scheduled(self.graph, given, wanted)
        _check_params(self.graph, params or {})
        _check_masks(self.graph, masks or {})
        return Walk(
            schedule,
            {
                name: self.tensor(value)
                for name, value in given.items()
                if name in schedule.reads or name in wanted
            },
            frozenset(wanted),
            {name: self.tensor(array) for name, array in (params or {}).items()},
            {place: self.tensor(array) for place, array in (masks or {}).items()},
        )

    def fitting(self, walk: Walk) -> StepExecutor | Slices:
        """The executor for the given samples: itself, one of another size, or itself in slices.

        Raises:
            UnsupportedError: samples are read together, or nobody knows where they lie.
        """
        found = slices_of(self.graph, {name: tuple(tensor.shape) for name, tensor in walk.given.items()})
        if found is None:
            return self
        if not found.follows(walk.schedule.nodes):
            found.refuse_unknown(walk.wanted)
            return found
        key = (found.count, found.inputs)
        if key not in self._others:
            self._others[key] = self.at(rebatched(self.graph, found.how, found.count))
            while len(self._others) > _KEPT:
                self._others.popitem(last=False)
        return self._others[key]

    def steps(self, walk: Walk) -> Iterator[tuple[str, Tensor]]:
        """Run ``walk``: a value goes after its last reader."""
        named = {node.name: node for node in self.graph.nodes}
        made, left = dict(walk.given), dict(walk.schedule.reads)
        for name in (*made, *self.graph.params):
            if name in walk.wanted:
                yield name, self._read(name, made, walk)
        for name in [name for name in made if name not in left]:
            del made[name]
        walk = Walk(walk.schedule, dict.fromkeys(walk.given), walk.wanted, walk.params, walk.masks)
        for planned in walk.schedule.nodes:
            node = named[planned.name]
            made.update(self._results(node, made, walk))
            for read in node.inputs:
                if read in left:
                    left[read] -= 1
                    if not left[read]:
                        made.pop(read, None)
            for name in node.outputs:
                if name in walk.wanted and name not in walk.given:
                    yield name, made[name]
                if not left.get(name):
                    made.pop(name, None)

    def _results(self, node: Node, made: Mapping[str, Tensor], walk: Walk) -> dict[str, Tensor]:
        """Results of ``node`` that are wanted or read."""
        operands: list[Tensor | None] = []
        for position, name in enumerate(node.inputs):
            tensor = None if name is None else self._read(name, made, walk)
            mask = walk.masks.get((node.name, position))
            operands.append(tensor if mask is None or tensor is None else self.masked(tensor, mask))
        results = zip(node.outputs, self.step(node, operands), strict=False)
        needed = walk.wanted | walk.schedule.reads.keys()
        return {name: tensor for name, tensor in results if name in needed and name not in walk.given}

    def _read(self, name: str, made: Mapping[str, Tensor], walk: Walk) -> Tensor:
        if name in made:
            return made[name]
        return walk.params[name] if name in walk.params else self.param(name)

    def _sliced(self, walk: Walk, slices: Slices) -> Iterator[tuple[str, Tensor]]:
        walks = [
            self.steps(Walk(walk.schedule, part, walk.wanted, walk.params, walk.masks))
            for part in slices.parts(walk.given)
        ]
        for made in zip(*walks, strict=True):
            name = made[0][0]
            yield name, slices.joined(name, [tensor for _, tensor in made], self.join)


def _check_params(graph: Graph, params: Mapping[str, Array]) -> None:
    for name, array in params.items():
        if name not in graph.params:
            raise UsageError(f"there is no param '{name}' to replace", where=graph.name)
        if array.shape != graph.params[name].shape:
            shape = graph.params[name].shape
            raise UsageError(f"param '{name}' has shape {shape}, what replaces it {array.shape}")


def _check_masks(graph: Graph, masks: Masks) -> None:
    nodes = {node.name: node for node in graph.nodes} if masks else {}
    for node, position in masks:
        if node not in nodes or position >= len(nodes[node].inputs):
            raise UsageError(f"there is no operand {position} of a node '{node}' to mask")
