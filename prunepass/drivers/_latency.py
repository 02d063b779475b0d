"""The driver ``latency``: hold a budget of time as it is measured on the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import UsageError, check_options
from ..measure import LatencyReport, Setting
from ..targets import Target
from ._attempt import Attempt
from ._replayed import checked
from ._run import Run
from ._search import MAX_ROUNDS, Found, Search


@dataclass(frozen=True)
class Latency:
    """Choose widths under a model of the engine, measure the real candidate, correct the model, and so on.

    Attributes:
        rounds: candidates at most.
    """

    name: ClassVar[str] = "latency"
    rounds: int = MAX_ROUNDS

    def __post_init__(self) -> None:
        check_options(self)
        if self.rounds < 1:
            raise UsageError(f"rounds is {self.rounds}", advice="it is 1 or more")

    def __call__(self, run: Run) -> Attempt:
        limit = run.parts.budget.latency
        if limit is None:
            raise UsageError(
                f"driver '{self.name}' holds a budget of time, and '{run.parts.budget}' is none",
                advice="ask for budget='latency=0.6'",
            )
        return run.replanned(lambda: self._searched(run, limit))

    def _searched(self, run: Run, limit: float) -> Attempt:
        known = run.target is not None and run.setting is not None and _fits(run.target, run.setting)
        table = run.target.table() if run.target is not None and known else None
        found = Search(run, table, self.rounds).find()
        plan = found.state.need("plan", self.name)
        check = checked(run.session, found.model, run.graph, found.state.graph)
        return Attempt(
            found.state,
            plan,
            run.graph,
            found.state.graph,
            found.model,
            check,
            found.reading,
            latency=None if run.setting is None else _report(found, limit, run.setting, run.target),
        )


def _fits(target: Target, setting: Setting) -> bool:
    """Return whether the times of a target are those of this engine, at as many threads."""
    threads = target.options.get("threads", setting.threads)
    return bool(target.layers) and target.backend == setting.backend.name and threads == setting.threads


def _report(found: Found, limit: float, setting: Setting, target: Target | None) -> LatencyReport:
    return LatencyReport(
        budget=limit,
        backend=setting.backend.name,
        version=setting.backend.version(),
        threads=setting.threads,
        clock=setting.clock,
        target=target.name if target else "",
        probes=found.probes,
        rounds=found.rounds,
        accepted=found.accepted,
    )
