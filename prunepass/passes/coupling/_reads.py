"""Reads of coupled channels: the places where a zero in front of an operand is the same as removal.

A channel is gone where nothing that is computed depends on it any more. The rules say which operands of which
nodes are summed over it; there, and nowhere else, a factor of zero takes it out: behind normalisations and
activations, in front of the sum. Statistics are observed there, gates and masks stand there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir import Array, Atom, Dim, Fixed, Index, Node, Rule, atoms_of, kept_index, leaves, rule_of
from ._coupling import Coupling
from ._stream import sums_of


@dataclass(frozen=True)
class ReadPlace:
    """One axis of one operand that a node sums over, and the channels on it.

    Attributes:
        node, position, axis: the node, the number of its operand, the axis of that operand. The node is empty where
            the channels are given out and whoever uses the model reads them.
        value: name of the operand; of a weight where no data carry the channel (the state of a recurrent layer).
        groups: names of the groups whose channels stand on the axis.
        exact: whether a zero there is the same as removal. It is not where a statistic is taken over the channels.
        others: name and axis of the same channels in the other data operands of a product of two of them.
        dim: the axis in terms of final atoms.
        own: the axis in the terms of the node's own rule.
        atoms: the index spaces of ``groups``.
    """

    node: str
    position: int
    axis: int
    value: str
    groups: tuple[str, ...]
    exact: bool = True
    others: tuple[tuple[str, int], ...] = ()
    dim: Dim = field(default=Fixed(1), repr=False, compare=False)
    own: Dim = field(default=Fixed(1), repr=False, compare=False)
    atoms: tuple[Atom, ...] = field(default=(), repr=False, compare=False)

    @property
    def place(self) -> tuple[str, int]:
        """The observed place: name and axis of the value."""
        return self.value, self.axis

    @property
    def spot(self) -> str | tuple[str, int]:
        """Where its own gradient is: node and operand, or the value that is given out."""
        return (self.node, self.position) if self.node else self.value


def reads(coupling: Coupling) -> tuple[ReadPlace, ...]:
    """Every read of prunable channels, in the order of the nodes."""
    found: tuple[ReadPlace, ...] = coupling.graph.memo("reads", lambda _: tuple(_reads(coupling)))
    return found


def _reads(coupling: Coupling) -> Iterator[ReadPlace]:
    graph = coupling.graph
    named = {group.atom: group.name for group in coupling.prunable if group.atom is not None}
    for node in graph.nodes:
        if not coupling.static.isdisjoint(node.outputs):
            continue
        rule = rule_of(graph, node)
        data = tuple(
            at for at, name in enumerate(node.inputs) if name in graph.values and name not in coupling.static
        )
        summed = {leaf for dim in rule.contracted for leaf in leaves(dim)}
        looped = _looped(coupling, rule, data, summed)
        for read in sums_of(coupling, rule, data):
            through = tuple(atom for atom in read.atoms if atom not in looped)
            yield from _places(coupling, named, node, (read.position, read.axis), through)
        for atom, place in looped.items():
            if atom in named:
                yield from _places(coupling, named, node, place, (atom,))

    yield from _given_out(coupling, named)


def _given_out(coupling: Coupling, named: Mapping[Atom, str]) -> Iterator[ReadPlace]:
    """Outputs whose channels may go, each axis with some as a read."""
    for position, name in enumerate(coupling.graph.outputs):
        for axis, dim in enumerate(coupling.dims[name] if name in coupling.graph.freed else ()):
            atoms = tuple(dict.fromkeys(leaf for leaf in atoms_of(dim) if leaf in named))
            if atoms:
                groups = tuple(named[leaf] for leaf in atoms)
                yield ReadPlace("", position, axis, name, groups, dim=dim, own=dim, atoms=atoms)


def _looped(
    coupling: Coupling, rule: Rule, data: tuple[int, ...], summed: set[Atom | Fixed]
) -> dict[Atom, tuple[int, int]]:
    """Channels that a node sums over inside, with the place in the weight that does: a state, fed back.

    Such a space stands on both axes of one weight; the second of them is summed over.
    """
    found: dict[Atom, tuple[int, int]] = {}
    for position, dims in enumerate(rule.operands):
        before = set[Atom | Fixed]()
        for axis, dim in enumerate(dims or ()):
            for leaf in leaves(dim):
                if position not in data and leaf in summed and leaf in before:
                    found.update(
                        (atom, (position, axis))
                        for atom in leaves(coupling.norm(leaf))
                        if isinstance(atom, Atom)
                    )
            before.update(leaves(dim))
    return found


def _places(
    coupling: Coupling,
    named: Mapping[Atom, str],
    node: Node,
    place: tuple[int, int],
    atoms: tuple[Atom, ...],
) -> Iterator[ReadPlace]:
    rule, (position, axis) = rule_of(coupling.graph, node), place
    if not atoms:
        return
    own = (rule.operands[position] or ())[axis]
    met = {leaf for leaf in leaves(own) for atom in leaves(coupling.norm(leaf)) if atom in atoms}
    taken = {leaf for dim in rule.statistics for leaf in leaves(dim)}
    others = tuple(
        (str(name), at)
        for i, (name, dims) in enumerate(zip(node.inputs, rule.operands, strict=True))
        if i != position and name in coupling.graph.values and name not in coupling.static
        for at, dim in enumerate(dims or ())
        if not met.isdisjoint(leaves(dim))
    )
    yield ReadPlace(
        node.name,
        position,
        axis,
        str(node.inputs[position]),
        tuple(named[atom] for atom in atoms),
        met.isdisjoint(taken),
        others,
        coupling.norm(own),
        own,
        atoms,
    )


def read_masks(coupling: Coupling, kept: Mapping[Atom, Index]) -> dict[tuple[str, int], Array]:
    """Factors of 0 and 1 in front of reads that take out all channels that are not kept.

    Returns:
        By node and operand position an array that broadcasts to the operand.
    """
    found: dict[tuple[str, int], Array] = {}
    for read in reads(coupling):
        cut = {atom: kept[atom] for atom in read.atoms if atom in kept}
        if not cut or not read.node:
            continue
        mask = np.zeros(read.dim.size)
        mask[kept_index(read.dim, cut)] = 1.0
        rank = len(coupling.graph.tensor(read.value).shape)
        factor = mask.reshape(-1, *(1,) * (rank - read.axis - 1))
        place = read.node, read.position
        found[place] = found[place] * factor if place in found else factor
    return found


def masked_groups(coupling: Coupling) -> tuple[str, ...]:
    """Groups for which zeros in front of every read are exactly the cut."""
    inexact = {name for read in reads(coupling) if not read.exact for name in read.groups}
    return tuple(g.name for g in coupling.prunable if not g.inexact and g.name not in inexact)
