"""Samples counted by what is given to a graph, and cut into slices of as many as the graph was captured with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._batch import Batching, batching
from ._errors import UnsupportedError, UsageError
from ._graph import Graph, Shape

Tensor: TypeAlias = Any


@dataclass(frozen=True)
class Slices:
    """How many samples there are, and where.

    Attributes:
        count: samples that are given.
        inputs: of the graph that hold samples.
        how: how the graph follows its batch.
        axes: of given values that hold samples the axis.
    """

    graph: Graph
    count: int
    inputs: frozenset[str]
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

    def check(self, wanted: Collection[str]) -> None:
        """Refuse values that cannot be joined.

        Raises:
            UnsupportedError: nobody knows along which axis of one samples lie.
        """
        for name in wanted:
            if name in self.how.unknown:
                raise UnsupportedError(
                    f"along which axis of '{name}' samples lie is not known, so it cannot be made of "
                    f"{self.count} samples by a graph that was captured with {self.how.size}",
                    where=self.graph.name,
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


def counted(graph: Graph, given: Mapping[str, Shape]) -> Slices | None:
    """How many samples are given; None where all shapes are those of the capture.

    Raises:
        UsageError: a shape differs by more than its samples, or values differ in their number.
    """
    other = {name: shape for name, shape in given.items() if shape != graph.values[name].shape}
    if not other:
        return None
    inputs = frozenset(name for name in graph.inputs if name in other) or _batched(graph)
    for name in inputs:
        if not graph.values[name].shape or not graph.values[name].shape[0]:
            raise _misfit(graph, name, given[name])
    how = batching(graph, inputs)
    axes = {name: _axis(graph, how, name, shape) for name, shape in other.items()}
    counts = {
        name: given[name][axis] * how.size // graph.values[name].shape[axis] for name, axis in axes.items()
    }
    if len(set(counts.values())) > 1:
        raise UsageError(f"values hold different numbers of samples: {counts}", where=graph.name)
    return Slices(graph, next(iter(counts.values())), inputs, how, axes)


def _batched(graph: Graph) -> frozenset[str]:
    """Inputs with as many entries along their first axis as the first one has."""
    shapes = {name: graph.values[name].shape for name in graph.inputs}
    size = next((shape[0] for shape in shapes.values() if shape), 1)
    return frozenset(name for name, shape in shapes.items() if shape and shape[0] == size)


def _axis(graph: Graph, how: Batching, name: str, shape: Shape) -> int:
    old = graph.values[name].shape
    differing = [at for at, (one, two) in enumerate(zip(shape, old, strict=False)) if one != two]
    if len(shape) != len(old) or len(differing) != 1 or how.axes.get(name, differing[0]) != differing[0]:
        raise _misfit(graph, name, shape)
    axis = differing[0]
    inner, rest = divmod(old[axis], how.size)
    if rest or not inner or not shape[axis] or shape[axis] % inner:
        raise _misfit(graph, name, shape)
    return axis


def _misfit(graph: Graph, name: str, shape: Shape) -> UsageError:
    kind = "input" if name in graph.inputs else "value"
    return UsageError(
        f"{kind} '{name}' has shape {shape}, the model reads {graph.values[name].shape}",
        where=graph.name,
        advice="the number of samples may be another one, all else may not",
    )
