"""Samples slices_of by what is given to a graph, and cut into slices of as many as the graph was captured with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._batch import Batching, batching
from ._errors import UnsupportedError, UsageError
from ._graph import Graph, Node, Shape

Tensor: TypeAlias = Any


@dataclass(frozen=True)
class Slices:
    """The number of given samples, and their axes.

    Attributes:
        count: samples that are given.
        inputs: of the graph that hold samples, each with the axis.
        how: how the graph follows its batch.
        axes: of given values that hold samples the axis.
    """

    graph: Graph
    count: int
    inputs: frozenset[tuple[str, int]]
    how: Batching
    axes: Mapping[str, int]

    def parts(self, given: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        """The given values slice by slice; the last sample fills the last one up."""
        for start in range(0, self.count, self.how.size):
            samples = [min(start + at, self.count - 1) for at in range(self.how.size)]
            yield {
                name: self._part(name, tensor, samples) if name in self.axes else tensor
                for name, tensor in given.items()
            }

    def _part(self, name: str, tensor: Tensor, samples: list[int]) -> Tensor:
        axis = self.axes[name]
        inner = self.graph.values[name].shape[axis] // self.how.size
        rows = [sample * inner + at for sample in samples for at in range(inner)]
        if rows == list(range(rows[0], rows[0] + len(rows))):
            return tensor[(slice(None),) * axis + (slice(rows[0], rows[0] + len(rows)),)]
        return tensor[(slice(None),) * axis + (rows,)]

    def follows(self, nodes: Iterable[Node]) -> bool:
        """Return whether all sizes in ``nodes`` follow from the number of samples.

        Raises:
            UnsupportedError: a node reads samples together; numbers that belong to it may be those of the capture.
            UsageError: what there are more or fewer of than at capture are no samples.
        """
        odd = [node for node in nodes if node.name in self.how.together or node.name in self.how.refused]
        for name, axis in self.inputs:
            if axis and odd:
                old = self.graph.values[name].shape
                raise _misfit(self.graph, name, (*old[:axis], self.count, *old[axis + 1 :]))
        for node in odd:
            if node.name in self.how.together:
                what = f"'{node.op}' reads samples together ({self.how.together[node.name]})"
                raise self._refused(what, node.name)
        return not odd

    def refuse_unknown(self, wanted: Collection[str]) -> None:
        """Refuse values that cannot be joined from slices.

        Raises:
            UnsupportedError: nobody knows along which axis of one samples lie.
        """
        for name in wanted:
            if name in self.how.unknown:
                raise self._refused(f"along which axis of '{name}' samples lie is not known", name)

    def _refused(self, what: str, where: str) -> UnsupportedError:
        return UnsupportedError(
            f"{what}, so {self.count} of them cannot be run by a graph that was captured with {self.how.size}",
            where=where,
            advice="capture the model with as many samples as are given",
        )

    def joined(
        self, name: str, parts: Sequence[Tensor], join: Callable[[Sequence[Tensor], int], Tensor]
    ) -> Tensor:
        """The value of all samples."""
        axis = self.how.axes.get(name)
        if axis is None:
            return parts[0]
        whole = join(parts, axis)
        size = self.graph.tensor(name).shape[axis] // self.how.size * self.count
        return whole[(slice(None),) * axis + (slice(0, size),)]


def slices_of(graph: Graph, given: Mapping[str, Shape]) -> Slices | None:
    """The slices of given samples; None where all shapes are those of the capture.

    Raises:
        UsageError: a shape differs by more than its samples, or values differ in their number.
    """
    other = {name: shape for name, shape in given.items() if shape != graph.values[name].shape}
    if not other:
        return None
    how, inputs, axes = _found(graph, other)
    counts = {
        name: given[name][axis] * how.size // graph.values[name].shape[axis] for name, axis in axes.items()
    }
    if len(set(counts.values())) > 1:
        raise UsageError(f"values hold different numbers of samples: {counts}", where=graph.name)
    return Slices(graph, next(iter(counts.values())), inputs, how, axes)


_Found = tuple[Batching, frozenset[tuple[str, int]], dict[str, int]]


def _found(graph: Graph, other: Mapping[str, Shape]) -> _Found:
    """Where samples lie in inputs and in what is given; where no input is given the first axis is tried first."""
    moved = frozenset(
        (name, _differing(graph, name, shape)) for name, shape in other.items() if name in graph.inputs
    )
    rank = max((len(graph.values[name].shape) for name in graph.inputs), default=1)
    failure: UsageError | None = None
    for inputs in [moved] if moved else [_batched(graph, axis) for axis in range(rank)]:
        if len({graph.values[name].shape[axis] for name, axis in inputs}) > 1:
            what = f"inputs differ from those of the capture by more than samples: {dict(other)}"
            raise UsageError(what, where=graph.name)
        how = batching(graph, inputs)
        try:
            return how, inputs, {name: _axis(graph, how, name, shape) for name, shape in other.items()}
        except UsageError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _batched(graph: Graph, axis: int) -> frozenset[tuple[str, int]]:
    """Inputs with as many entries along this axis as the first one has."""
    shapes = {name: graph.values[name].shape for name in graph.inputs}
    size = next((shape[axis] for shape in shapes.values() if len(shape) > axis), 1)
    return frozenset(
        (name, axis) for name, shape in shapes.items() if len(shape) > axis and shape[axis] == size
    )


def _differing(graph: Graph, name: str, shape: Shape) -> int:
    """The one axis along which there is another number of entries than at capture."""
    old = graph.values[name].shape
    found = [at for at, (one, two) in enumerate(zip(shape, old, strict=False)) if one != two]
    if len(shape) != len(old) or len(found) != 1 or not shape[found[0]] or not old[found[0]]:
        raise _misfit(graph, name, shape)
    return found[0]


def _axis(graph: Graph, how: Batching, name: str, shape: Shape) -> int:
    """Where the samples of a given value lie."""
    axis = _differing(graph, name, shape)
    inner, rest = divmod(graph.values[name].shape[axis], how.size)
    if rest or shape[axis] % inner or how.axes.get(name, axis) != axis:
        raise _misfit(graph, name, shape)
    return axis


def _misfit(graph: Graph, name: str, shape: Shape) -> UsageError:
    kind = "input" if name in graph.inputs else "value"
    return UsageError(
        f"{kind} '{name}' has shape {shape}, the model reads {graph.values[name].shape}",
        where=graph.name,
        advice="the number of samples may be another one, all else may not",
    )
