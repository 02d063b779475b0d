"""A group of coupled channels in a few readable lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._coupling import Group

_SAID = {
    "produced": "made by",
    "carried": "carried by",
    "contracted": "read by",
    "read": "read by",
    "statistic": "statistics in",
}
_MOST = 12


def group_text(group: Group) -> str:
    """Name and size, who makes, carries and reads the channels, and why they stay or what a cut changes."""
    state = "prunable" if group.prunable else "pinned"
    found: dict[str, dict[str, dict[str, None]]] = {said: {} for said in _SAID.values()}
    named = {member.node for member in group.members if "." in member.tensor}
    for member in group.members:
        layer, tensor = _layer(member.node, member.tensor)
        if not tensor and member.node in named:
            continue  # data that a layer reads; its weights say more
        found.setdefault(_SAID[member.role], {}).setdefault(layer, {})[tensor] = None
    lines = [f"{group.name}: {group.size} channels, {state}"]
    lines += [f"  {said} {_listed(layers)}" for said, layers in found.items() if layers]
    lines += [f"  pinned: {pin}" for pin in group.pins]
    return "\n".join(lines + [f"  inexact: {reason}" for reason in group.inexact])


def _layer(node: str, tensor: str) -> tuple[str, str]:
    """The layer that a tensor belongs to by its name, else the node that uses it."""
    owner, _, own = tensor.rpartition(".")
    return (owner, own) if owner else (node, "")


def _listed(layers: dict[str, dict[str, None]]) -> str:
    shown = [f"{name} ({', '.join(own)})" if any(own) else name for name, own in layers.items()]
    more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return ", ".join(shown[:_MOST]) + more
