"""Composition of plans: one plan for the original that cuts what two plans cut one after the other.

Groups of the smaller model may have other names than those of the original, or be tied otherwise. What is mapped is
therefore what the cuts mean: the entries that are left of every axis of every tensor. The groups of the original
are found for them anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..ir import Array, Atom, Dim, Graph, Index, Kept, Tie, UsageError, atoms_of, kept_index, positions
from ._options_joined import joined_options
from ._plan import Cut, Plan, fingerprint, with_constraints, with_free
from ._tensors import Tensors
from .analyses import grid_of
from .coupling import Coupling, couple, kept_axes, narrowed

Axes = tuple[Index | None, ...]
_ADVICE = "plans are joined in the order in which they were made: first.then(second)"


def then(graph: Graph, first: Plan, later: Plan) -> Plan:
    """``first``, then ``later``, as one plan for ``graph``.

    Args:
        graph: the original, that ``first`` was made for; its data are read.
        later: made for what ``first`` leaves of it.

    Raises:
        UsageError: a plan was made for another model, or the original has no groups for what is left.
    """
    first.check(graph)
    whole = couple(first.constrain(graph))
    kept = first.kept(whole)
    small = narrowed(whole, kept, first.shifted(graph))
    if fingerprint(small) != later.fingerprint:
        raise UsageError("the later plan was not made for what the first one leaves", advice=_ADVICE)
    smaller = couple(later.constrain(small))
    again = later.kept(smaller)
    before = {name: kept_axes(whole, kept, name) for name in whole.dims}
    left = {name: _both(axes, kept_axes(smaller, again, name)) for name, axes in before.items()}
    found, cuts = _grouped(graph, first, later, left)
    shifts, tensors = _repaired(graph, small, (first, later), before)
    return Plan(
        fingerprint=first.fingerprint,
        cuts=cuts,
        shifts=shifts,
        tensors=Tensors(tensors),
        pins=found.pins,
        ties=tuple((*tie.left, *tie.right, tie.reason) for tie in found.ties),
        free=found.free,
        options=joined_options(first.options, later.options),
    )


def _both(first: Axes, later: Axes) -> Axes:
    """Entries of the original that two cuts leave, axis by axis."""
    return tuple(
        one if two is None else two if one is None else one[two]
        for one, two in zip(first, later, strict=True)
    )


def _grouped(
    graph: Graph, first: Plan, later: Plan, left: Mapping[str, Axes]
) -> tuple[Graph, dict[str, Cut]]:
    """The cuts by group that leave these entries, and the graph with the constraints that they hold under.

    What a later round has pinned or tied may not be so in the original: it went in the first round, or unevenly.
    """
    for plans in ((first, later), (first,), (later,), ()):
        constrained = with_free(graph, dict.fromkeys((*first.free, *later.free)))
        for plan in plans:
            constrained = _constrained(constrained, plan)
        cuts = _cuts(couple(constrained), left)
        if cuts is not None:
            return constrained, cuts
    raise UsageError(
        "the plans cannot be joined: the original has no groups of channels for what both leave together",
        where=graph.name,
        advice="apply one plan after the other",
    )


def _constrained(graph: Graph, plan: Plan) -> Graph:
    pins = tuple(pin for pin in plan.pins if pin not in graph.pins)
    ties = (Tie((a, i), (b, j), reason) for a, i, b, j, reason in plan.ties)
    return with_constraints(graph, pins, tuple(tie for tie in ties if tie not in graph.ties))


def _cuts(coupling: Coupling, left: Mapping[str, Axes]) -> dict[str, Cut] | None:
    """Cuts of groups that leave these entries of every tensor; None where there are none."""
    kept: dict[Atom, Index] = {}
    for dim, index in _uneven(coupling, left):
        for leaf, places in positions(dim).items():
            if leaf not in kept:
                stays = [own[np.isin(entries, index)] for entries, own in places]
                kept[leaf] = np.unique(np.concatenate(stays))
    if not all(_agrees(coupling, kept, axes, name) for name, axes in left.items()):
        return None
    found = {group.atom: group for group in coupling.prunable}
    went = {leaf: np.setdiff1d(np.arange(leaf.size), index) for leaf, index in kept.items()}
    went = {leaf: index for leaf, index in went.items() if len(index)}
    if not all(leaf in found for leaf in went):
        return None
    return {found[leaf].name: Cut(leaf.size, tuple(map(int, index))) for leaf, index in went.items()}


def _uneven(coupling: Coupling, left: Mapping[str, Axes]) -> Iterator[tuple[Dim, Index]]:
    """Dims of which something goes, with the entries that stay."""
    for name, axes in left.items():
        for dim, index in zip(coupling.dims[name], axes, strict=True):
            if index is not None:
                yield coupling.norm(dim), index


def _agrees(coupling: Coupling, kept: Kept, axes: Axes, name: str) -> bool:
    for dim, index in zip(coupling.dims[name], axes, strict=True):
        dim = coupling.norm(dim)
        want = np.arange(dim.size) if index is None else index
        if any(leaf in kept for leaf in atoms_of(dim)):
            if not np.array_equal(kept_index(dim, kept), want):
                return False
        elif len(want) != dim.size:
            return False
    return True


def _repaired(
    graph: Graph, small: Graph, plans: tuple[Plan, Plan], before: Mapping[str, Axes]
) -> tuple[dict[str, tuple[float, ...]], dict[str, Array]]:
    """Amounts and tensors that give every param bit for bit what the plans give it one after the other."""
    first, later = plans
    shifts, tensors = dict(first.shifts), dict(first.tensors)
    changed = first.shifted(graph)
    for name, part in later.shifted(small).items():
        data = graph.params[name].read()
        whole = np.array(changed.get(name, data))
        whole[grid_of(whole.shape, before[name])] = part
        amounts = whole.astype(np.float64) - data.astype(np.float64)
        exact = np.array_equal((data + amounts).astype(data.dtype), whole)
        shifts.pop(name, None)
        if exact and not any(name in plan.tensors for plan in plans):
            shifts[name] = tuple(float(number) for number in amounts.ravel())
        else:
            tensors[name] = whole
    return shifts, tensors
