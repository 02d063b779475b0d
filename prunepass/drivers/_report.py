"""The report of a prune as data: JSON for machines, rows for tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..hosts import unchanged_notes
from ..ir import Graph
from ..passes import (
    Budget,
    Cost,
    Coupling,
    Group,
    OutputChange,
    Plan,
    Proof,
    State,
    Timings,
    couple,
    graph_cost,
    left_inexact,
    macs_by_layer,
)
from ._repaired import change_after, fitted_on, input_warnings
from ._wiring import DrawnLayer, drawn_layers

if TYPE_CHECKING:
    from ..hosts import UnchangedSize
    from ..measure import Comparison, LatencyReport
    from ._attempt import Round
    from ._host_check import HostCheck

# Modules that a note names, and notes on sizes; a large model may have hundreds.
_SHOWN, _TOLD = 8, 8


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: channels before and after, places it occurs in, why it is pinned or inexact.

    Attributes:
        places: where the channels occur, for pages; ``prunepass analyze --json`` has them as data.
    """

    name: str
    size: int
    kept: int
    members: int
    pins: tuple[str, ...] = ()
    inexact: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer: its multiply-accumulates before and after."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality of the original and of the result by the task's ``evaluate``."""

    before: float
    after: float


@dataclass(frozen=True)
class Report:
    """The cut, its cost before and after, and the proof.

    Attributes:
        before, after: costs of the captured shapes.
        score: the score that was used, with the output change of each candidate where it was measured.
        layers: multiply-accumulates of every layer that has some.
        wiring: the network as it is drawn, for pages; not part of the JSON.
        change: of the outputs, one by one: on inputs held out from the fit where weights were fitted, else on those
            that the score was chosen by; None where nothing was tried.
        fitted: what was fitted on which inputs; empty where nothing was.
        warnings: what is wrong with these inputs: too few, nearly equal, files that could not be read.
        repaired, unrepaired: groups whose cut channels' means were moved into biases, and why others not.
        unchanged: sizes that a module or a configuration keeps as they were, for no new value is determined.
        proof, host: worst relative errors against the masked original, in float64 and in the host.
        unread: tensors of the model that its example inputs do not reach, nor training mode; they are left as
            they are, and what is as wide as one of them is pinned.
        seconds: per pass; not part of the JSON, which is the same from run to run.
        dead: how many dead channels went, None where more than those was asked for.
        rounds: what the driver accepted and rejected, in order; empty where it made one attempt.
        ended: why the driver ended before the budget; empty where it did not.
        evaluation: what the task's ``evaluate`` gave; None where it has none.
        timing: original and pruned on the engine, and ``latency``, how a latency budget was met; None where
            nothing was measured. They are in the JSON only where it is asked for.
    """

    model: str
    before: Cost
    after: Cost
    groups: tuple[GroupRow, ...]
    score: str
    changes: Mapping[str, float]
    repaired: tuple[str, ...]
    unrepaired: Mapping[str, str]
    proof: Proof | None
    host: HostCheck | None
    unread: tuple[str, ...] = ()
    unchanged: tuple[UnchangedSize, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    dead: int | None = None
    timing: Comparison | None = None
    latency: LatencyReport | None = None
    change: OutputChange | None = None
    layers: tuple[LayerRow, ...] = ()
    rounds: tuple[Round, ...] = ()
    ended: str = ""
    wiring: tuple[DrawnLayer, ...] = ()
    fitted: str = ""
    warnings: tuple[str, ...] = ()
    evaluation: Evaluation | None = None

    def to_json(self, *, timing: bool = False) -> str:
        """One JSON document with sorted keys, the same from run to run.

        Args:
            timing: add what was measured, which differs from run to run, as ``timing`` and ``latency``.
        """
        data = asdict(self)
        for measured in ("seconds", "timing", "latency", "wiring"):
            del data[measured]
        if self.dead is None:
            del data["dead"]
        for optional in ("rounds", "ended", "fitted", "warnings", "evaluation"):
            if not data[optional]:
                del data[optional]
        for row in data.get("rounds", ()):
            if not timing:
                del row["time"]
        for row in data["groups"]:
            del row["places"]
        if timing and self.timing is not None:
            data["timing"] = self.timing.to_dict()
        if timing and self.latency is not None:
            data["latency"] = self.latency.to_dict()
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    def summary(self) -> list[tuple[str, str, str, str]]:
        """Rows of (cost, before, after, after / before), and of what ``evaluate`` gave with the difference."""
        rows = []
        for kind in ("macs", "params", "size", "channels"):
            old, new = self.before[kind], self.after[kind]
            rows.append((kind, f"{old:,}", f"{new:,}", f"{new / old:.3f}" if old else "-"))
        if self.evaluation is not None:
            first, last = self.evaluation.before, self.evaluation.after
            rows.append(("evaluate", f"{first:.6g}", f"{last:.6g}", f"{last - first:+.3g}"))
        return rows

    def layer_table(self) -> list[tuple[str, str, str, str]]:
        """Rows of (layer, multiply-accumulates before, after, after / before)."""
        return [
            (row.name, f"{row.before:,}", f"{row.after:,}", f"{row.after / max(row.before, 1):.3f}")
            for row in self.layers
        ]

    def to_markdown(self) -> str:
        """Costs, groups and layers as Markdown tables, and what was left as it is."""
        lines = ["| | before | after | kept |", "|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in self.summary()]
        lines += ["", "| group | channels | kept | places | note |", "|---|---:|---:|---:|---|"]
        lines += [f"| {g.name} | {g.size} | {g.kept} | {g.members} | {note_of(g)} |" for g in self.groups]
        if self.layers:
            lines += ["", "| layer | MACs before | after | kept |", "|---|---:|---:|---:|"]
            lines += [f"| {' | '.join(row)} |" for row in self.layer_table()]
        notes = self.notes()
        return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"

    def notes(self) -> list[str]:
        """A few lines on what the examples do not reach, and on sizes that did not follow."""
        told = unchanged_notes(self.unchanged)
        left = len(told) - _TOLD
        unread = [unread_note(self.unread)] if self.unread else []
        if self.ended:
            unread.insert(0, self.ended)
        more = [f"{left} more such notes are in the report as JSON"] if left > 0 else []
        return [*self.warnings, *unread, *told[:_TOLD], *more]


def note_of(row: GroupRow) -> str:
    """The reason why a group is pinned or inexact, in one line."""
    return "; ".join(("pinned: " + "; ".join(row.pins),) if row.pins else row.inexact[:1])


def unread_note(names: Sequence[str]) -> str:
    """A note on what is not reached, what became of it, and what to do about it; empty where everything is reached."""
    if not names:
        return ""
    owners = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    more = f" and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
    return (
        f"not reached by the example inputs, left as it is: {', '.join(owners[:_SHOWN])}{more}; what is as wide is "
        "pinned, and nothing proves that it still fits: give inputs that reach it, or delete it from the model"
    )


def group_rows(coupling: Coupling, plan: Plan | None = None) -> tuple[GroupRow, ...]:
    """One row for each group, pinned ones last."""
    cuts = plan.cuts if plan else {}
    left = left_inexact(coupling, plan) if plan else {}
    return tuple(
        GroupRow(
            group.name,
            group.size,
            group.size - (len(cuts[group.name].remove) if group.name in cuts else 0),
            len(group.members),
            tuple(str(pin) for pin in group.pins),
            left.get(group.name, group.inexact),
            _places(group),
        )
        for group in coupling.groups
    )


def layer_rows(original: Graph, graph: Graph) -> tuple[LayerRow, ...]:
    """One row for each layer that counts work."""
    after = macs_by_layer(graph)
    return tuple(
        LayerRow(name, before, after.get(name, 0)) for name, before in macs_by_layer(original).items()
    )


def _places(group: Group) -> tuple[str, ...]:
    """``node: role, role`` of every node where the group's channels occur."""
    roles: dict[str, dict[str, None]] = {}
    for member in group.members:
        roles.setdefault(member.node, {})[member.role] = None
    return tuple(f"{node}: {', '.join(found)}" for node, found in roles.items())


def unread_names(graph: Graph) -> tuple[str, ...]:
    """Names of the params that no run of the model reads."""
    return tuple(param.name for param in graph.unread)


def _dead(plan: Plan | None) -> int | None:
    """Channels that went under the budget that takes dead ones alone."""
    if plan is None or plan.options.get("budget") != str(Budget({}, dead=True)):
        return None
    return sum(len(one.remove) for one in plan.cuts.values())


def report_of(state: State, timings: Timings, host: HostCheck | None) -> Report:
    """The report of a finished pipeline."""
    choice, repair, plan = state.choice, state.compensation, state.plan
    after = graph_cost(state.graph)
    rows = group_rows(couple(state.original), plan)
    kept = sum(row.kept for row in rows if not row.pins)
    before = graph_cost(state.original)
    return Report(
        model=state.original.name,
        before=before,
        after=Cost(after.macs, after.params, after.size, kept),
        groups=rows,
        score=str(plan.options.get("score", "")) if plan else "",
        changes=dict(choice.changes) if choice else {},
        repaired=tuple(repair.repaired) if repair else (),
        unrepaired=dict(repair.unrepaired) if repair else {},
        proof=state.proof,
        host=host,
        unread=unread_names(state.original),
        seconds=tuple(timings.seconds),
        dead=_dead(plan),
        change=change_after(state),
        fitted=fitted_on(state),
        warnings=input_warnings(state),
        layers=layer_rows(state.original, state.graph),
        wiring=drawn_layers(state.original, state.graph),
    )
