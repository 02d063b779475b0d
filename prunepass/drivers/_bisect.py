"""The driver ``bisect``: close in on the edge between what holds and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import msgspec

from ..ir import BudgetError, UsageError, check_options
from ..passes import KINDS, Budget
from ._attempt import Attempt
from ._run import Run

_CLOSE, _ROUNDING = 1e-3, 1e-9

# A candidate with what became known of it, and why it does not hold.
Judged: TypeAlias = Callable[[Attempt], tuple[Attempt, str]]


@dataclass(frozen=True)
class Bisect:
    """Find how much must go, or may, by halving an interval: no model of the engine, no training.

    Under a latency budget the most of ``by`` that is measured to hold it. Under any other one the least, not below
    the budget, at which the task's ``evaluate`` gives at most ``drop`` less than the original.

    Attributes:
        by: the cost whose fraction is halved.
        drop: how much less than the original ``evaluate`` may give.
        rounds: at most so many candidates.
    """

    name: ClassVar[str] = "bisect"
    by: str = "macs"
    drop: float = 0.01
    rounds: int = 8

    def __post_init__(self) -> None:
        check_options(self)
        if self.by not in KINDS:
            raise UsageError(f"there is no cost '{self.by}'", advice=f"there are {', '.join(KINDS)}")
        if not self.drop >= 0 or self.rounds < 1:
            raise UsageError(f"drop {self.drop:g} must be 0 or more, rounds {self.rounds} 1 or more")

    def __call__(self, run: Run) -> Attempt:
        budget = run.parts.budget
        if budget.dead:
            raise UsageError(f"driver '{self.name}' has nothing to halve under the budget 'dead'")
        if budget.latency is not None:
            return self._fastest(run, budget, budget.latency)
        return self._smallest(run, budget)

    def _fastest(self, run: Run, budget: Budget, limit: float) -> Attempt:
        """The widest that holds a budget of time."""

        def judged(tried: Attempt) -> tuple[Attempt, str]:
            timed = run.measure(tried)
            assert timed.reading is not None
            slow = timed.reading.time > limit
            return timed, f"it takes {timed.reading.time:.3f} of the original's time" if slow else ""

        rest = {kind: share for kind, share in budget.counted.items() if kind != self.by}
        wide = budget.counted.get(self.by, 1.0)
        best = self._closed_in(run, _Interval(0.0, wide, min(limit, wide), narrow=True), rest, judged)
        return _asked(best, budget)

    def _smallest(self, run: Run, budget: Budget) -> Attempt:
        """The narrowest that the task finds good enough."""
        goal = budget.counted.get(self.by)
        if goal is None:
            raise UsageError(
                f"driver '{self.name}' halves {self.by}, which the budget {budget} does not limit",
                advice=f"ask for {self.by}=..., or choose another cost: bisect{{by=params}}",
            )
        run.task.need("evaluate", f"driver '{self.name}'")
        first = run.evaluate(run.original()).accuracy or 0.0

        def judged(tried: Attempt) -> tuple[Attempt, str]:
            seen = run.evaluate(tried)
            lost = first - (seen.accuracy or 0.0)
            why = f"evaluate gave {lost:.4g} less than the original, {self.drop:g} may go"
            return seen, why if lost > self.drop + _ROUNDING else ""

        rest = {kind: share for kind, share in budget.counted.items() if kind != self.by}
        return self._closed_in(run, _Interval(goal, 1.0, goal, narrow=False), rest, judged)

    def _closed_in(self, run: Run, where: _Interval, rest: Mapping[str, float], judged: Judged) -> Attempt:
        """The candidate nearest to the edge that holds.

        Raises:
            BudgetError: none does.
        """
        best: Attempt | None = None
        seen: dict[str, bool] = {}
        for made in range(self.rounds):
            if where.closed:
                break
            run.progress(made / self.rounds)
            budget = Budget({**rest, self.by: where.at})
            try:
                tried = run.attempt(budget=str(budget))
            except BudgetError as error:
                run.miss(str(budget), error.what)
                where = where.above()
                continue
            cuts = repr(sorted(tried.plan.cuts.items()))
            if cuts not in seen:
                tried, why = judged(tried)
                seen[cuts] = not why
                best = run.accept(tried) if not why else best
                if why:
                    run.reject(tried, why)
            where = where.after(held=seen[cuts])
        if best is None:
            raise BudgetError(
                f"the budget {run.parts.budget} was not met in {len(run.rounds)} rounds: {run.rounds[-1].why}",
                advice="ask for less, or see with 'prunepass analyze' what is pinned; lower align or floor",
            )
        return best


@dataclass(frozen=True)
class _Interval:
    """Fractions between which the edge lies, and the one to try.

    Attributes:
        narrow: whether it is the narrow side that holds.
    """

    low: float
    high: float
    at: float
    narrow: bool

    @property
    def closed(self) -> bool:
        """Return whether there is nothing left in between."""
        return self.high - self.low < _CLOSE or not self.low <= self.at <= self.high

    def after(self, *, held: bool) -> _Interval:
        """The span that is left once it is known whether ``at`` holds."""
        return self.above() if held == self.narrow else self.below()

    def above(self) -> _Interval:
        return _Interval(self.at, self.high, (self.at + self.high) / 2, self.narrow)

    def below(self) -> _Interval:
        return _Interval(self.low, self.at, (self.low + self.at) / 2, self.narrow)


def _asked(attempt: Attempt, budget: Budget) -> Attempt:
    """The attempt with the budget that was asked for in its plan: gates read it there."""
    plan = attempt.state.need("plan", "bisect")
    plan = msgspec.structs.replace(plan, options={**plan.options, "budget": str(budget)})
    return replace(attempt, state=attempt.state.having(plan=plan), plan=plan)
