"""The network as it is drawn: layers before and after, and who reads whom."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Graph
from ..passes import macs_by_layer, wiring


@dataclass(frozen=True, slots=True)
class DrawnLayer:
    """One box: an input, a layer, or a place where several meet.

    Attributes:
        kind: ``input``, ``layer`` or ``join``.
        reads: numbers of the boxes that it reads, all of them smaller than its own.
        channels: of its result, before and after; 0 where weights have made none.
        macs: multiply-accumulates of the layer, before and after.
    """

    name: str
    kind: str
    reads: tuple[int, ...] = ()
    channels: tuple[int, int] = (0, 0)
    macs: tuple[int, int] = (0, 0)


def drawn_layers(original: Graph, graph: Graph) -> tuple[DrawnLayer, ...]:
    """The boxes of ``original``, with the widths that ``graph``, its cut, has left."""
    before, after = macs_by_layer(original), macs_by_layer(graph)
    left = {value: one.channels for one in wiring(graph) for value in one.made}
    return tuple(
        DrawnLayer(
            one.name,
            one.kind,
            one.reads,
            (one.channels, left.get(one.made[-1], 0 if one.kind == "layer" else one.channels)),
            (before.get(one.name, 0), after.get(one.name, 0)) if one.kind == "layer" else (0, 0),
        )
        for one in wiring(original)
    )
