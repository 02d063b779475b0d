"""Growth with the batch: the sizes of a node that may have to follow the number of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._graph import Graph, Node, Shape
from ._verify import rule_of

Edit = tuple[str, "int | None"]
"""The name of an attribute and the entry that grows; None for a plain number."""
Axes = Mapping[int, int]
"""Axes that grow, by operand."""


@dataclass(frozen=True)
class Growth:
    """Candidates for growth in a graph that was captured with ``size`` samples."""

    graph: Graph
    size: int

    def attempts(self, node: Node, axes: Axes) -> Iterator[tuple[Edit | None, Axes]]:
        """Entries of attributes that may have to grow, and operands."""
        edits = list(self._edits(node))
        yield from ((edit, {}) for edit in edits)
        for more in self._followers(node, axes):
            yield from ((edit, more) for edit in (None, *edits))

    def _edits(self, node: Node) -> Iterator[Edit]:
        for name in rule_of(self.graph, node).sizes:
            value = node.attrs.get(name)
            if isinstance(value, int):
                yield name, None
            elif isinstance(value, tuple):
                yield from ((name, at) for at, one in enumerate(value) if _divides(one, self.size))

    def _followers(self, node: Node, axes: Axes) -> Iterator[Axes]:
        """Operands that have as many entries along an axis as there are samples and are made of none."""
        free = [at for at, name in enumerate(node.inputs) if at not in axes and self._may_grow(name)]
        for axis in range(max((len(shape_of(self.graph, node.inputs[at])) for at in free), default=0)):
            fitting = [at for at in free if self._grows(node.inputs[at], axis)]
            if fitting:
                yield dict.fromkeys(fitting, axis)
            if len(fitting) > 1:
                yield from ({at: axis} for at in fitting)

    def _may_grow(self, name: str | None) -> bool:
        return name is not None and name not in self.graph.inputs

    def _grows(self, name: str | None, axis: int) -> bool:
        shape = shape_of(self.graph, name)
        if axis >= len(shape) or shape[axis] != self.size:
            return False
        if name not in self.graph.params:
            return True
        param = self.graph.params[str(name)]
        if self.size == 1 and not param.trained:
            return True
        data = param.read()
        # A weight is no state of a sample; what a file writes down to begin with is one number throughout.
        alike = data.flat[0] if param.trained else np.take(data, [0], axis)
        return bool((data == alike).all())


def shape_of(graph: Graph, name: str | None) -> Shape:
    """The shape of a tensor; that of a scalar where an operand is left out."""
    return () if name is None else graph.tensor(name).shape


def _divides(entry: Any, size: int) -> bool:
    return isinstance(entry, int) and entry > 0 and entry % size == 0
