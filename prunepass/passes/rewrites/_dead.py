"""Dead channels: what can be taken out without changing an output.

A channel is dead where every reader of it sees a constant, or has no weight for it, and where that constant finds a
bias behind each reader. The trial is the repair itself: channels of which it says that their cut still shows are
put back until nothing shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from ...ir import Array, Atom, Index, UsageError, atoms_of
from .._plan import left_inexact, plan_for
from .._then import then
from ..analyses import Constant, constants, one_sample, silences
from ..coupling import Coupling, Step, couple, steps
from ._compensate import Compensation, compensate
from ._cut import cut
from ._deficit import entries_read, marked

Remove = Mapping[str, Index]
Choose = Callable[[Coupling, Remove], Remove]
_NONE = np.zeros(0, dtype=np.int64)


def dead_channels(coupling: Coupling) -> Remove:
    """Indices of dead channels by group name; groups without any are left out. One channel of a group stays.

    All of them can go together, and what only dead channels read is dead.
    """
    found: Remove = coupling.graph.memo("dead channels", lambda _: _dead_channels(coupling))
    return found


def _dead_channels(coupling: Coupling) -> Remove:
    cuts = dead_plan(coupling, _all_but_one).plan.cuts
    return {name: np.asarray(one.remove, dtype=np.int64) for name, one in cuts.items()}


def _all_but_one(coupling: Coupling, dead: Remove) -> Remove:
    return {name: index[: coupling.group(name).size - 1] for name, index in dead.items()}


def dead_plan(coupling: Coupling, choose: Choose) -> Compensation:
    """A plan that takes out what ``choose`` takes of what is dead, and takes up its constants.

    What that leaves is looked through again: there is nothing dead in it.

    Args:
        choose: which of the dead channels go, by group name (whole multiples, say).
    """
    first = _tried(coupling, _suspects(coupling), choose)
    if not first.plan.cuts:
        return first
    later = dead_plan(couple(cut(coupling.graph, first.plan)), choose)
    if not later.plan.cuts:
        return first
    try:
        plan = then(coupling.graph, first.plan, later.plan)
    except UsageError:  # what is dead by then is no group of the original
        return first
    return Compensation(msgspec.structs.replace(plan, options={}), tuple(sorted(plan.shifts)), {}, ())


def _tried(coupling: Coupling, dead: Remove, choose: Choose) -> Compensation:
    """Put back what shows until nothing does."""
    while dead:
        plan = plan_for(coupling, choose(coupling, dead))
        repaired = compensate(coupling, plan)
        shown = dict(repaired.inexact)
        shown.update({name: dead[name] for name, why in left_inexact(coupling, plan).items() if why})
        if not shown:
            return repaired
        left = {name: np.setdiff1d(index, shown.get(name, _NONE)) for name, index in dead.items()}
        fewer = sum(map(len, left.values())) < sum(map(len, dead.values()))
        dead = {name: index for name, index in left.items() if len(index)} if fewer else {}
    return Compensation(plan_for(coupling, {}), (), {}, ())


def _suspects(coupling: Coupling) -> Remove:
    """Channels that all readers see as constant, or do not read at all."""
    small = one_sample(coupling)
    found: dict[Atom, Array] = {}
    fixed = constants(small)
    atoms = frozenset(group.atom for group in small.prunable if group.atom is not None)
    for step in steps(small):
        given = tuple(fixed.get(str(name)) for name in step.node.inputs)
        for atom, marks in _living(small, step, given, atoms).items():
            found[atom] = found[atom] | marks if atom in found else marks
    outer = (dim for name in small.graph.freed for dim in small.dims[name])
    found.update({leaf: np.ones(leaf.size, bool) for dim in outer for leaf in atoms_of(dim) if leaf in found})
    dead = {g.name: np.flatnonzero(~found[g.atom]) for g in small.prunable if g.atom in found}
    return {name: index for name, index in dead.items() if len(index)}


def _living(
    small: Coupling, step: Step, given: tuple[Constant | None, ...], atoms: frozenset[Atom]
) -> dict[Atom, Array]:
    """Channels whose value reaches the result of a node that sums over them, by atom."""
    alive: dict[Atom, Array] = {}
    summed = {leaf for dim in step.rule.contracted for leaf in atoms_of(dim)}
    # What a recurrent layer makes it reads again, step after step.
    again = summed & {leaf for dims in step.rule.results for dim in dims for leaf in atoms_of(dim)}
    for dim in (*step.rule.statistics, *again):
        alive.update({atom: np.ones(atom.size, bool) for atom in atoms_of(small.norm(dim)) if atom in atoms})
    for position in step.data:
        dims = step.rule.operands[position] or ()
        read = {leaf for dim in dims for leaf in atoms_of(dim) if leaf in summed}
        here = atoms & {atom for leaf in read for atom in atoms_of(small.norm(leaf))}
        if not here:
            continue
        constant = given[position]
        if constant is None and not silences(step) and len(step.data) == 1:
            marks = {atom: np.ones(atom.size, bool) for atom in here}
        else:
            known = np.zeros(step.call.shape(position), bool) if constant is None else constant.known
            moving = entries_read(small, step, position, given) & ~known
            marks = {atom: np.zeros(atom.size, bool) for atom in here}
            marks.update(marked(moving, dims, small, here))
        for atom, living in marks.items():
            alive[atom] = living | alive.get(atom, living)
    return alive


def dead_first(coupling: Coupling, scores: Mapping[str, Array]) -> dict[str, Array]:
    """Scores where dead channels have less than any other: they cost nothing, whatever a score thinks of them."""
    dead = dead_channels(coupling)
    if not dead:
        return dict(scores)
    every = [np.asarray(values, dtype=np.float64) for values in scores.values()]
    finite = [values[np.isfinite(values)] for values in every]
    largest = max((float(np.max(np.abs(values), initial=0.0)) for values in finite), default=0.0)
    least = min((float(np.min(values, initial=0.0)) for values in finite), default=0.0) - 1e-6 * (
        largest or 1.0
    )
    changed = dict(scores)
    for name, index in dead.items():
        values = np.array(scores[name], dtype=np.float64)
        values[index] = least
        changed[name] = values
    return changed
