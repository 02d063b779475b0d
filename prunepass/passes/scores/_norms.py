"""Norms of weights: the classical baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, Graph, check_options
from ..coupling import Coupling, Group, static_array
from ._protocol import NORMALIZE, Scores, choice, named, per_entry, prunable

_BLOCK = 1 << 17

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
        check_options(self)
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
        sums = np.zeros(atom.size)
        for axis in axes:
            sums += per_entry(_sums(coupling, tensor, axis, entry), coupling.dims[tensor][axis], atom)
        total += whole(sums)
    return total


def _sums(coupling: Coupling, tensor: str, axis: int, entry: Callable[[Array], Array]) -> Array:
    """Sum of ``entry`` over everything that stands at each place of ``axis``; once for all groups on it."""

    def make(graph: Graph) -> Array:
        param = graph.params.get(tensor)
        data = static_array(coupling, tensor) if param is None else param.read()
        lengths = np.zeros(data.shape[axis])
        # Block by block: the whole of a large weight in float64 costs more to write than to add up.
        step = max(1, _BLOCK * len(data) // max(data.size, 1))
        for at in range(0, len(data), step):
            block = entry(data[at : at + step].astype(np.float64))
            found = block.sum(axis=tuple(other for other in range(block.ndim) if other != axis))
            if axis == 0:
                lengths[at : at + step] = found
            else:
                lengths += found
        return lengths

    found: Array = coupling.graph.memo(("sums", tensor, axis, entry), make)
    return found


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
