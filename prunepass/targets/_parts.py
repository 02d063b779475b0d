"""Layers of a model as models of their own, at any widths of the groups that they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..hosts import Session
from ..ir import Atom, Graph, Node, Value
from ..passes import Coupling, Layer, couple, cut, plan_for
from ..passes.cost import MOVED, codes_of, codes_read, kind_of


@dataclass
class Bench:
    """Cuts the whole model to wanted widths and takes single layers out of it.

    The boundary of a part would be pinned if the part were captured and cut by itself, and its weights would have
    to be cut by rules of its own. Cut in the whole model, by the same plan, rewrite and replay as any prune, a
    layer has exactly the form it would have in a pruned model; then it is taken out by the names of its values.
    """

    session: Session
    graph: Graph
    _last: tuple[Any, Any, Graph] | None = field(default=None, repr=False)

    @property
    def coupling(self) -> Coupling:
        return couple(self.graph)

    def part(self, layer: Layer, widths: Mapping[Atom, int]) -> bytes:
        """The layer, with what follows it element by element, as ONNX bytes.

        Raises:
            UnsupportedError: the host cannot express the cut, or the layer cannot be taken out.
        """
        extractor, graph = self._cut(widths)
        inputs = [name for name in layer.node.inputs if name in graph.values and name]
        # An engine computes with codes only where it finds the node between codes.
        codes = codes_read(self.graph, layer.node)
        begins = [codes.get(n, n) for n in inputs if n not in self.coupling.static]
        data = {n: graph.values[n] for n in begins if n in graph.values}
        end: Value = graph.values[self._end(layer.node)]
        model: bytes = extractor.part(data, end).SerializeToString()
        return model

    def _cut(self, widths: Mapping[Atom, int]) -> tuple[Any, Graph]:
        from ..hosts.onnx import Extractor

        key = tuple(
            sorted((group.name, widths.get(group.atom)) for group in self.coupling.prunable if group.atom)
        )
        if self._last is None or self._last[0] != key:
            remove = {
                group.name: np.arange(widths[group.atom], group.size)
                for group in self.coupling.prunable
                if group.atom is not None and widths.get(group.atom, group.size) < group.size
            }
            after = cut(self.graph, plan_for(self.coupling, remove))
            self._last = key, Extractor(self.session.replay(self.graph, after, inplace=False)), after
        return self._last[1], self._last[2]

    def _end(self, node: Node) -> str:
        """The last of what follows ``node`` alone, reads nothing else that flows, and keeps the shape."""
        graph, name = self.graph, node.outputs[0]
        while name not in graph.outputs and len(readers := graph.readers.get(name, ())) == 1:
            after = readers[0][0]
            flowing = [given for given in after.inputs if given in graph.values]
            shape = graph.values[after.outputs[0]].shape if len(after.outputs) == 1 else ()
            if (
                flowing != [name]
                or shape != graph.values[name].shape
                or kind_of(self.coupling, after) != MOVED
                or codes_of(graph, after.outputs[0]) == name
            ):
                break
            name = after.outputs[0]
        return name
