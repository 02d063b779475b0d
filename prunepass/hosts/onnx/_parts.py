"""The parts that a run is divided into, so that not all wanted values are held at once."""

from __future__ import annotations

from math import prod

from ...ir import Graph, Walk, scheduled
from ._segment import Segment


def held_bytes(graph: Graph, name: str) -> int:
    """Bytes of a value in the widest type; 0 of what is none."""
    value = graph.values.get(name)
    return 0 if value is None else 8 * prod(value.shape)


def parts_of(graph: Graph, walk: Walk, most: int, *, free: bool) -> list[Segment]:
    """The run in as many parts as it takes to hold the wanted values of only one of them.

    Args:
        most: bytes of wanted values that come out of one part.
        free: make one part, whose sizes are computed anew from the inputs.
    """
    given, parts, nodes = frozenset(walk.given), list[Segment](), walk.schedule.nodes
    ends = [len(nodes)] if free else _ends(graph, walk, most)
    for start, end in zip([0, *ends], ends, strict=False):
        made_here = {name for node in nodes[start:end] for name in node.outputs} - set(walk.given)
        later = {name for node in nodes[end:] for name in node.inputs if name is not None}
        out = frozenset(name for name in made_here if name in walk.wanted or name in later)
        parts.append(_segment(graph, walk, given, out, free=free))
        given = frozenset(name for name in given | out if name in later)
    return [part for part in parts if part.wanted]


def _ends(graph: Graph, walk: Walk, most: int) -> list[int]:
    """Places in the schedule where a part ends."""
    ends, held = list[int](), 0
    for at, node in enumerate(walk.schedule.nodes):
        made = sum(held_bytes(graph, name) for name in node.outputs if name in walk.wanted)
        if held and held + made > most:
            ends.append(at)
            held = 0
        held += made
    return [*ends, len(walk.schedule.nodes)]


def _segment(graph: Graph, walk: Walk, given: frozenset[str], out: frozenset[str], *, free: bool) -> Segment:
    nodes = scheduled(graph, given, out).nodes
    read = {name for node in nodes for name in node.inputs}
    names = {node.name for node in nodes}
    masks = frozenset(place for place in walk.masks if place[0] in names)
    return Segment(given & read, out, frozenset(walk.params) & read, masks, free)
