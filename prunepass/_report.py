"""What a prune did, as data: JSON for machines, rows for tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .passes import Cost, Coupling, Group, Plan, Proof, State, Timings, couple, graph_cost

if TYPE_CHECKING:
    from ._clock import LatencyReport
    from ._host_check import HostCheck
    from .hosts import UnchangedSize
    from .measure import Comparison

_SHOWN = 4


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


@dataclass(frozen=True)
class Report:
    """What was cut, what it costs now, and the proof.

    Attributes:
        before, after: costs of the captured shapes.
        score: the score that was used, with the output change of each candidate where it was measured.
        repaired, unrepaired: groups whose cut channels' means were moved into biases, and why others not.
        unchanged: sizes that a module or a configuration keeps as they were, for no new value is determined.
        proof, host: worst relative errors against the masked original, in float64 and in the host.
        seconds: per pass; not part of the JSON, which is the same from run to run.
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
    unchanged: tuple[UnchangedSize, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    timing: Comparison | None = None
    latency: LatencyReport | None = None

    def to_json(self, *, timing: bool = False) -> str:
        """One JSON document with sorted keys, the same from run to run.

        Args:
            timing: add what was measured, which differs from run to run, as ``timing`` and ``latency``.
        """
        data = asdict(self)
        for measured in ("seconds", "timing", "latency"):
            del data[measured]
        for row in data["groups"]:
            del row["places"]
        if timing and self.timing is not None:
            data["timing"] = self.timing.to_dict()
        if timing and self.latency is not None:
            data["latency"] = self.latency.to_dict()
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    def summary(self) -> list[tuple[str, str, str, str]]:
        """Rows of (cost, before, after, after / before)."""
        rows = []
        for kind in ("macs", "params", "size", "channels"):
            old, new = self.before[kind], self.after[kind]
            rows.append((kind, f"{old:,}", f"{new:,}", f"{new / old:.3f}" if old else "-"))
        return rows

    def to_markdown(self) -> str:
        """Costs and groups as two Markdown tables, and what did not follow."""
        lines = ["| | before | after | kept |", "|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in self.summary()]
        lines += ["", "| group | channels | kept | places | note |", "|---|---:|---:|---:|---|"]
        lines += [f"| {g.name} | {g.size} | {g.kept} | {g.members} | {note_of(g)} |" for g in self.groups]
        return "\n".join([*lines, *(["", *self.notes()] if self.unchanged else [])]) + "\n"

    def notes(self) -> list[str]:
        """A few lines on sizes that did not follow."""
        shown = [f"not changed: {size}" for size in self.unchanged[:_SHOWN]]
        left = len(self.unchanged) - len(shown)
        return shown + ([f"not changed: {left} more, in the report as JSON"] if left else [])


def note_of(row: GroupRow) -> str:
    """Why a group is pinned or inexact, in one line."""
    return "; ".join(("pinned: " + "; ".join(row.pins),) if row.pins else row.inexact[:1])


def group_rows(coupling: Coupling, plan: Plan | None = None) -> tuple[GroupRow, ...]:
    """One row for each group, pinned ones last."""
    cuts = plan.cuts if plan else {}
    return tuple(
        GroupRow(
            group.name,
            group.size,
            group.size - (len(cuts[group.name].remove) if group.name in cuts else 0),
            len(group.members),
            tuple(str(pin) for pin in group.pins),
            group.inexact,
            _places(group),
        )
        for group in coupling.groups
    )


def _places(group: Group) -> tuple[str, ...]:
    """``node: role, role`` of every node where the group's channels occur."""
    roles: dict[str, dict[str, None]] = {}
    for member in group.members:
        roles.setdefault(member.node, {})[member.role] = None
    return tuple(f"{node}: {', '.join(found)}" for node, found in roles.items())


def report_of(state: State, timings: Timings, host: HostCheck | None) -> Report:
    """The report of a finished pipeline."""
    facts: Mapping[str, Any] = state.facts
    choice, repair = facts.get("choice"), facts.get("compensation")
    plan = state.plan
    after = graph_cost(state.graph)
    kept = sum(row.kept for row in group_rows(couple(state.original), plan) if not row.pins)
    before = graph_cost(state.original)
    return Report(
        model=state.original.name,
        before=before,
        after=Cost(after.macs, after.params, after.size, kept),
        groups=group_rows(couple(state.original), plan),
        score=str(plan.options.get("score", "")) if plan else "",
        changes=dict(choice.changes) if choice else {},
        repaired=tuple(repair.repaired) if repair else (),
        unrepaired=dict(repair.unrepaired) if repair else {},
        proof=facts.get("proof"),
        host=host,
        seconds=tuple(timings.seconds),
    )
