"""DFPC's saliency: how much a channel can add to the layers that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, check_options
from ..analyses import Magnitudes, one_sample, trace
from ..coupling import Coupling, reads_of
from ._given import given_by_atom
from ._protocol import NORMALIZE, Scores, choice, named, per_index, prunable


@dataclass(frozen=True)
class Dfpc:
    """Backwards graph-based saliency of Narshana, Murti, Bhattacharyya (DFPC, ICLR 2023).

    With all weights replaced by their absolute values, what a channel adds to the summed magnitude of all
    layers that read it: the entrywise 1-norm of (consumer columns) x (producer rows, through all operators
    between), summed over pairs of producer and consumer. Computed in closed form, one pass over the network:
    the same numbers as the product of the unrolled matrices. An upper bound of the 1-norm of what the
    consumers lose for inputs of size one, where nothing is shifted or shifts are included. Per sample,
    whatever the batch. "Producer before consumer" is the order of the graph; the authors' release compares
    layer names.

    Attributes:
        normalize: ``none``, as published (deep small maps go first), or ``mean``: each group has mean 1.
        include_shift: count biases and the shifts of normalisations, which the original leaves out.
    """

    name: ClassVar[str] = "dfpc"
    normalize: str = "none"
    include_shift: bool = False

    def __post_init__(self) -> None:
        check_options(self)
        choice("normalize", self.normalize, NORMALIZE)

    def __call__(self, coupling: Coupling) -> Scores:
        small = one_sample(coupling)
        found: dict[Atom, Array] = {}
        for met in trace(small, include_shift=self.include_shift):
            _accumulate(small, met, found)
            for name, made in zip(met.step.node.outputs, met.results, strict=False):
                for atom, share in given_by_atom(small, name, made):
                    found[atom] = found.get(atom, np.zeros(atom.size)) + share
        return named(small, found, self.normalize)

    def explain(self, coupling: Coupling) -> dict[str, str]:
        """Groups that nothing sums over: all their scores are 0."""
        return {
            group.name: "nothing sums over these channels, only statistics are taken"
            for group, _ in prunable(coupling)
            if not any(member.role == "read" for member in group.members)
        }


def _accumulate(coupling: Coupling, met: Magnitudes, found: dict[Atom, Array]) -> None:
    flows = dict[int, Array]()
    for read in reads_of(coupling, met.step):
        operand = met.step.rule.operands[read.position]
        if operand is None:
            continue
        if read.position not in flows:
            flows[read.position] = inflow(met, read.position)
        dim = coupling.norm(operand[read.axis])
        for atom in read.atoms:
            share = per_index(flows[read.position], read.axis, dim, atom)
            found[atom] = found.get(atom, np.zeros(atom.size)) + share


def inflow(met: Magnitudes, position: int) -> Array:
    """Magnitude that each entry of an operand adds to the result; a plain sum adds the entry."""
    step, array = met.step, met.operands[position]
    transfer = step.op.flow.inflow
    found = array if transfer is None else transfer(step.op, step.call, met.operands, position)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), step.call.shape(position))
