"""Norms of weights: the classical baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom
from .._coupling import Coupling, Group
from .._stream import static_array
from ._protocol import NORMALIZE, Scores, choice, named, per_index, prunable

_Norm = tuple[Callable[[Array], Array], Callable[[Array], Array]]


@dataclass(frozen=True)
class _RowNorm:
    """Options of the norms.

    Attributes:
        normalize: ``none``, or ``mean``: each group has mean 1.
        reads: add the norms of the columns that read the channel.
    """

    normalize: str = "none"
    reads: bool = False

    def __post_init__(self) -> None:
        choice("normalize", self.normalize, NORMALIZE)

    def _scored(self, coupling: Coupling, norm: _Norm) -> Scores:
        found = {
            atom: row_norms(coupling, group, atom, norm, reads=self.reads)
            for group, atom in prunable(coupling)
        }
        return named(coupling, found, self.normalize)


@dataclass(frozen=True)
class L1(_RowNorm):
    """Sum over all weights that make the channel of the 1-norm of its rows.

    Not invariant to the scale of a normalisation behind the weight.
    """

    name: ClassVar[str] = "l1"

    def __call__(self, coupling: Coupling) -> Scores:
        return self._scored(coupling, (np.abs, lambda sums: sums))


@dataclass(frozen=True)
class L2(_RowNorm):
    """Sum over all weights that make the channel of the 2-norm of its rows."""

    name: ClassVar[str] = "l2"

    def __call__(self, coupling: Coupling) -> Scores:
        return self._scored(coupling, SQUARES)


SQUARES: _Norm = (np.square, np.sqrt)


def row_norms(coupling: Coupling, group: Group, atom: Atom, norm: _Norm, *, reads: bool = False) -> Array:
    """Sum over weights of the norm of the entries that belong to each index of ``atom``.

    Where no weight makes the channels by a product (a table that is looked up, a token that is learned),
    what carries them counts instead.
    """
    entry, whole = norm
    total = np.zeros(atom.size)
    for tensor, axes in _weights(coupling, group, reads):
        data = entry(static_array(coupling, tensor))
        sums = sum(per_index(data, axis, coupling.dims[tensor][axis], atom) for axis in axes)
        total += whole(np.asarray(sums))
    return total


def _weights(coupling: Coupling, group: Group, reads: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each weight once, however many nodes use it, with the axes where the group occurs.

    A weight that is computed from params counts as it is used, not the params it is computed from.
    """
    inner = {node.name for node in coupling.graph.nodes if not coupling.static.isdisjoint(node.outputs)}
    members = [member for member in group.members if member.node not in inner]
    makes = any(member.role == "produced" for member in members)
    wanted = {"produced" if makes else "carried", "contracted" if reads else ""}
    axes: dict[str, dict[int, None]] = {}
    for member in members:
        if member.role in wanted:
            axes.setdefault(member.tensor, {})[member.axis] = None
    for tensor, found in axes.items():
        yield tensor, tuple(found)
