"""Wiring of the layers: who reads whom, with everything between them left out."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from math import prod

from ...ir import Graph, Node, leaves
from ..coupling import Coupling, couple, produced
from ._kinds import live_nodes


@dataclass(frozen=True, slots=True)
class Vertex:
    """One box of the drawn network: an input, a layer that counts work, or a place where several of them meet.

    Attributes:
        name: of the layer as :func:`macs_by_layer` has it, of the input, or of the operator that joins.
        kind: ``input``, ``layer`` or ``join``.
        reads: numbers of the boxes that it reads, all of them smaller than its own.
        made: names of the values that it makes, the last one last.
        channels: how many channels weights have made of its result; 0 where nothing is known of them.
    """

    name: str
    kind: str
    reads: tuple[int, ...] = ()
    made: tuple[str, ...] = ()
    channels: int = 0


def wiring(graph: Graph) -> tuple[Vertex, ...]:
    """The boxes in order of execution. A module that runs again after others is another box of its name."""
    drawn = _Drawn(couple(graph))
    for name in graph.inputs:
        drawn.add(Vertex(name, "input", made=(name,)))
    for node, rule in live_nodes(drawn.coupling):
        drawn.node(node, works=bool(rule.work))
    return drawn.finished()


class _Drawn:
    """Boxes so far, and by value the boxes that it comes from."""

    def __init__(self, coupling: Coupling) -> None:
        self.coupling = coupling
        self.vertices: list[Vertex] = []
        self._above: dict[str, tuple[int, ...]] = {}

    def add(self, vertex: Vertex) -> None:
        self.vertices.append(vertex)
        self._above.update(dict.fromkeys(vertex.made, (len(self.vertices) - 1,)))

    def node(self, node: Node, *, works: bool) -> None:
        """Draw one node, unless it only hands on what a single box has made."""
        above = _union(self._above.get(name, ()) for name in node.inputs if name is not None)
        if not works and len(above) < 2:
            self._above.update(dict.fromkeys(node.outputs, above))
            return
        name = (node.origin.path or node.name) if works else node.op
        at = self._same_layer(name, above) if works else None
        if at is None:
            self.add(Vertex(name, "layer" if works else "join", above, node.outputs))
            return
        before = self.vertices[at]
        reads = _union((before.reads, tuple(one for one in above if one != at)))
        self.vertices[at] = Vertex(name, "layer", reads, (*before.made, *node.outputs))
        self._above.update(dict.fromkeys(node.outputs, (at,)))

    def _same_layer(self, name: str, above: tuple[int, ...]) -> int | None:
        """The box of the same layer that a node goes on from; nothing that it reads else may come after that one."""
        last = max(above, default=-1)
        return last if last >= 0 and self.vertices[last].name == name else None

    def finished(self) -> tuple[Vertex, ...]:
        """The boxes with their channels."""
        made = produced(self.coupling)
        return tuple(
            Vertex(one.name, one.kind, one.reads, one.made, self._channels(one.made[-1], made))
            for one in self.vertices
        )

    def _channels(self, value: str, made: Container[object]) -> int:
        """Entries of the axes that hold channels: parts of an axis add up, axes multiply."""
        axes = [self.coupling.norm(dim) for dim in self.coupling.dims.get(value, ())]
        held = [axis.size for axis in axes if any(leaf in made for leaf in leaves(axis))]
        return prod(held) if held else 0


def _union(found: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted({one for each in found for one in each}))
