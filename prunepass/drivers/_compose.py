"""Two plans in a row as one, in the terms of the first one's model."""

from __future__ import annotations

import numpy as np

from ..ir import Atom, Dim, Fixed, Graph, Index, Sum, atoms_of, kept_of
from ..passes import Coupling, Plan, couple, plan_for


def composed(whole: Graph, first: Plan, small: Graph, later: Plan, **options: object) -> Plan:
    """What is gone of ``whole`` after ``first`` and then ``later``, which was made for ``small``.

    Groups are found again by the tensors they occur in: the smaller graph may name or divide them otherwise.
    The amounts that either plan shifts by hold for its own weights and are left out.

    Args:
        options: how it was made, where that is not what either plan says.

    Raises:
        UsageError: a plan is for another model.
    """
    before, after = couple(whole), couple(small)
    kept, stays = first.kept(before), later.kept(after)
    remove: dict[str, Index] = {}
    for group in before.prunable:
        assert group.atom is not None
        name, axis = place_of(before, group.atom)
        dim = before.dims[name][axis]
        left = _indices(kept_of(before.dims[name], before.norm, kept)[axis], dim.size)
        left = left[_indices(kept_of(after.dims[name], after.norm, stays)[axis], len(left))]
        entries = _entries(dim, group.atom)[left]
        gone = np.setdiff1d(np.arange(group.size), entries[entries >= 0])
        if len(gone):
            remove[group.name] = gone
    return plan_for(before, remove, **{**first.options, **later.options, **options})


def place_of(coupling: Coupling, leaf: Atom) -> tuple[str, int]:
    """A tensor and an axis that hold the channels, by themselves where there is one."""
    places = [
        (not isinstance(dim, Atom), name, axis)
        for name, dims in coupling.dims.items()
        for axis, dim in enumerate(dims)
        if leaf in atoms_of(dim)
    ]
    _, name, axis = min(places)
    return name, axis


def _indices(kept: Index | None, size: int) -> Index:
    return np.arange(size) if kept is None else kept


def _entries(dim: Dim, leaf: Atom) -> Index:
    """For each entry of a dim the channel of ``leaf`` that it belongs to; -1 where it belongs to none."""
    if isinstance(dim, (Atom, Fixed)):
        return np.arange(dim.size) if dim is leaf or dim == leaf else np.full(dim.size, -1)
    parts = [_entries(part, leaf) for part in dim.parts]
    if isinstance(dim, Sum):
        return np.concatenate(parts)
    made = parts[0]
    for part in parts[1:]:
        made = np.maximum(np.repeat(made, len(part)), np.tile(part, len(made)))
    return made
