"""A graph of the original's size in which weights mask what a plan removes.

Removal is what readers see: a channel that is cut adds nothing to any sum over channels. Where such a sum has
weights, zeros in them do exactly that, whatever the channel holds. A sum without weights (queries times keys)
needs zeros in the channels themselves, so in what makes them. That is tried too; whether it holds is not argued
but computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ...ir import Array, Atom, Dim, Graph, Kept, Node, Param, atoms_of, kept_of, masked, rule_of
from .._plan import Plan
from ..coupling import Coupling, couple


def masked_by_weights(graph: Graph, plan: Plan) -> Graph:
    """``graph`` with what ``plan`` repairs, and zeros in the weights that read what it cuts.

    Where readers have no weights, zeros stand in all weights that hold the channels; these may not be enough.

    Args:
        graph: the original, with the constraints of ``plan``.
    """
    coupling = couple(graph)
    kept, data = plan.kept(coupling), plan.shifted(graph)
    changed = {name: _with(graph.params[name], array) for name, array in data.items()}
    for name, atoms in _zeroed(coupling, kept).items():
        index = kept_of(coupling.dims[name], coupling.norm, {atom: kept[atom] for atom in atoms})
        whole = data[name] if name in data else graph.params[name].read()
        changed[name] = _with(graph.params[name], masked(np.asarray(whole), index))
    return replace(graph, params={**graph.params, **changed}) if changed else graph


def _with(param: Param, data: Array) -> Param:
    return replace(param, source=lambda: data)


def _zeroed(coupling: Coupling, kept: Kept) -> dict[str, set[Atom]]:
    """By param the channels for which zeros are put into it."""
    found: dict[str, set[Atom]] = {}
    everywhere: set[Atom] = set()
    for node in coupling.graph.nodes:
        summed = _cut(coupling, rule_of(coupling.graph, node).contracted, kept)
        reached = set[Atom]()
        for name, held in _weights(coupling, node, summed).items():
            found.setdefault(name, set()).update(held)
            reached |= held
        everywhere |= summed - reached
    for name, param in coupling.graph.params.items():
        held = everywhere.intersection(_cut(coupling, coupling.dims[name], kept))
        if held and param.is_float:
            found.setdefault(name, set()).update(held)
    return found


def _weights(coupling: Coupling, node: Node, summed: set[Atom]) -> Mapping[str, set[Atom]]:
    """Float params that a node reads with channels that it sums over."""
    params = coupling.graph.params
    read = (params[name] for name in node.inputs if name is not None and name in params)
    found = {p.name: summed.intersection(_atoms(coupling, p.name)) for p in read if p.is_float}
    return {name: held for name, held in found.items() if held}


def _atoms(coupling: Coupling, name: str) -> Iterable[Atom]:
    return (leaf for dim in coupling.dims[name] for leaf in atoms_of(dim))


def _cut(coupling: Coupling, dims: Iterable[Dim], kept: Kept) -> set[Atom]:
    return {leaf for dim in dims for leaf in atoms_of(coupling.norm(dim)) if leaf in kept}
