"""Sums over the reads of a channel, and the weights with which each is read."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ...ir import Array, Atom, Dim, Dims, Fixed, Node, Prod, UsageError, leaves, registry, rule_of
from ..analyses import Observed, statistics
from ..coupling import Coupling, ReadPlace, reads, static_array
from ._protocol import Scores, named, per_entry, prunable


def summed_reads(
    coupling: Coupling, seen: Observed, judge: Callable[[ReadPlace], Array | None]
) -> dict[Atom, Array]:
    """By index space the sum of what ``judge`` says of every entry that a read has of each channel.

    Channels that no read tells anything of count as much as the most important ones that are known: nobody knows
    that they may go.

    Raises:
        UsageError: what was seen is of another network, or ``judge`` gives another number of entries than are read.
    """
    found: dict[Atom, Array] = {}
    if not seen.covers(coupling):
        raise UsageError(
            "these statistics were observed on another network",
            where=coupling.graph.name,
            advice="observe the model that is scored: pp.observe(model, inputs, statistics, task)",
        )
    # The reads of this coupling, not those that were seen: index spaces are those of one coupling.
    for read in reads(coupling):
        entries = judge(read)
        if entries is None:
            continue
        if np.shape(entries) != (read.dim.size,):
            raise UsageError(
                f"'{read.value}' has {read.dim.size} entries along axis {read.axis}, and the score gives "
                f"an array of shape {np.shape(entries)} for them"
            )
        for atom in read.atoms:
            found[atom] = found.get(atom, np.zeros(atom.size)) + per_entry(entries, read.dim, atom)
    most = max((float(array.max()) for array in found.values()), default=1.0)
    return {atom: found.get(atom, np.full(atom.size, most)) for _, atom in prunable(coupling)}


def summed(
    coupling: Coupling, seen: Observed, judge: Callable[[ReadPlace], Array | None], normalize: str = "none"
) -> Scores:
    """The same by group name; with ``mean`` each group's scores have the mean 1."""
    return named(coupling, summed_reads(coupling, seen, judge), normalize)


def squared_weights(coupling: Coupling, read: ReadPlace, seen: Observed) -> Array:
    """Sum of the squares of all that one entry of a read is multiplied with, per position of the result.

    A weight is summed over all that it makes of the entry, kernel positions included. Where other data stand in the
    place of a weight, their mean square does.
    """
    if not read.node:
        return np.ones(read.dim.size)
    node = _node(coupling, read.node)
    rule, op = rule_of(coupling.graph, node), registry()[node.op]
    kept = _parts(read.own)
    elsewhere = {
        leaf
        for axis, dim in enumerate(rule.operands[read.position] or ())
        if axis != read.axis
        for leaf in leaves(dim)
    }
    total = np.ones(read.own.size)
    for position, (name, dims) in enumerate(zip(node.inputs, rule.operands, strict=True)):
        if name is None or dims is None or position in (read.position, op.shift_out):
            continue
        if set(kept).isdisjoint(part for dim in dims for part in _parts(dim)):
            continue
        if name in coupling.graph.params or name in coupling.static:
            squares = np.square(static_array(coupling, name))
        else:
            squares = _mean_square(coupling, name, read, seen)
        total = total * _reduced(squares, dims, kept, elsewhere)
    return total


def _mean_square(coupling: Coupling, name: str, read: ReadPlace, seen: Observed) -> Array:
    """Mean square of other data along the channels that are read, the same everywhere else."""
    shape = coupling.graph.values[name].shape
    axis = next((axis for other, axis in read.others if other == name), None)
    known = None if axis is None else seen.get(statistics.SecondMoment(), (name, axis))
    if axis is None or known is None:
        return np.ones(shape)
    return np.broadcast_to(known.reshape(-1, *(1,) * (len(shape) - axis - 1)), shape)


def _parts(dim: Dim) -> tuple[Dim, ...]:
    """The index spaces of an axis, outermost first; what is joined of segments is taken as one."""
    return tuple(dim.parts) if isinstance(dim, Prod) else (dim,)


def _reduced(squares: Array, dims: Dims, kept: tuple[Dim, ...], elsewhere: set[Atom | Fixed]) -> Array:
    """Entries per index of ``kept``: averaged over what the data have too, summed over the rest."""
    parts = [part for dim in dims for part in _parts(dim)]
    whole = squares.reshape([part.size for part in parts])
    shared = tuple(
        i for i, part in enumerate(parts) if part not in kept and not elsewhere.isdisjoint(leaves(part))
    )
    rest = tuple(i for i, part in enumerate(parts) if part not in kept and i not in shared)
    small = whole.mean(axis=shared, keepdims=True).sum(axis=rest, keepdims=True)
    order = [parts.index(part) for part in kept if part in parts]
    small = small.transpose([*order, *(i for i in range(len(parts)) if i not in order)])
    found = small.reshape([part.size if part in parts else 1 for part in kept])
    return np.broadcast_to(found, [part.size for part in kept]).reshape(prod(part.size for part in kept))


def _node(coupling: Coupling, name: str) -> Node:
    nodes: dict[str, Node] = coupling.graph.memo("nodes", lambda g: {node.name: node for node in g.nodes})
    return nodes[name]
