"""The slopes of normalisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, registry
from ..coupling import Coupling, Group, static_array
from ._norms import SQUARES, row_norms
from ._protocol import Scores, per_index, prunable


@dataclass(frozen=True)
class BnScale:
    """Sum over the normalisations that carry the channel of the size of its scale.

    The criterion of network slimming (Liu et al., ICCV 2017).

    A group that no scale is in is scored by the 2-norms of its rows, divided by their mean: as if slopes were
    one on average.
    """

    name: ClassVar[str] = "bn_scale"

    def __call__(self, coupling: Coupling) -> Scores:
        operands = _scales(coupling)
        scores = {}
        for group, atom in prunable(coupling):
            held = _held(group, operands)
            scores[group.name] = (
                _slopes(coupling, atom, held) if held else _relative_norms(coupling, group, atom)
            )
        return scores

    def explain(self, coupling: Coupling) -> dict[str, str]:
        """Groups without a normalisation."""
        operands = _scales(coupling)
        return {
            group.name: "no normalisation scales these channels; relative norms of their rows instead"
            for group, _ in prunable(coupling)
            if not _held(group, operands)
        }


def _scales(coupling: Coupling) -> frozenset[tuple[str, str]]:
    """``(node, tensor)`` of every operand that is declared a scale."""
    found = set[tuple[str, str]]()
    for node in coupling.graph.nodes:
        at = registry()[node.op].position("scale")
        tensor = node.inputs[at] if at is not None and at < len(node.inputs) else None
        if tensor is not None:
            found.add((node.name, tensor))
    return frozenset(found)


def _held(group: Group, scales: frozenset[tuple[str, str]]) -> tuple[tuple[str, int], ...]:
    """Scales that hold the group's channels, each once."""
    members = (m for m in group.members if m.role == "carried" and (m.node, m.tensor) in scales)
    return tuple(dict.fromkeys((member.tensor, member.axis) for member in members))


def _slopes(coupling: Coupling, atom: Atom, held: tuple[tuple[str, int], ...]) -> Array:
    total = np.zeros(atom.size)
    for tensor, axis in held:
        total += per_index(np.abs(static_array(coupling, tensor)), axis, coupling.dims[tensor][axis], atom)
    return total


def _relative_norms(coupling: Coupling, group: Group, atom: Atom) -> Array:
    norms = row_norms(coupling, group, atom, SQUARES)
    return norms / (float(norms.mean()) or 1.0)
