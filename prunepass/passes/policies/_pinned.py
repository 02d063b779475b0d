"""Summary of the pins that stand in the way of a budget."""

from __future__ import annotations

from collections import Counter

from ...ir import Fixed, Graph, Pin, rule_of
from ..coupling import Coupling

_MOST = 3


def by_reason(coupling: Coupling) -> str:
    """``: operator 'If' has no declaration (5); model output 'y' (1)``, the most frequent reasons first."""
    counts = Counter(pin.reason for pin in _first_pins(coupling))
    shown = [f"{reason} ({count})" for reason, count in counts.most_common(_MOST)]
    rest = sum(counts.values()) - sum(count for _, count in counts.most_common(_MOST))
    if rest:
        shown.append(f"others ({rest})")
    return f": {'; '.join(shown)}" if shown else ""


def advice_of(coupling: Coupling) -> str:
    """Advice on pins, each one once."""
    return "; ".join(dict.fromkeys(pin.advice for pin in _first_pins(coupling) if pin.advice))


def closed(graph: Graph) -> list[Pin]:
    """A pin for each node whose own rule lets nothing of its weights be cut: work that cannot even be counted."""
    found = []
    for node in graph.nodes:
        for name, dims in zip(node.inputs, rule_of(graph, node).operands, strict=True):
            param = graph.params.get(name or "")
            if param is None or not param.trained or dims is None:
                continue
            held = [dim for dim in dims if dim.size > 1]
            pins = [dim.pins for dim in held if isinstance(dim, Fixed) and dim.pins]
            if held and len(pins) == len(held):
                found.append(pins[0][0])
                break
    return found


def _first_pins(coupling: Coupling) -> list[Pin]:
    """One pin for each group that is held: the first that can be helped, else the first; without groups, for nodes."""
    pinned = [group.pins for group in coupling.groups if not group.prunable]
    found = [sorted(pins, key=lambda pin: not pin.advice) for pins in pinned]
    return [pins[0] for pins in found if pins] or closed(coupling.graph)
