"""The driver ``iterate``: prune a step, train, evaluate, go on or go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..ir import BudgetError, UsageError, check_options
from ..passes import Budget, Cut, graph_cost
from ._attempt import Attempt
from ._run import Run
from ._weights import Store

# A step that was halved so often cuts next to nothing.
_LEAST = 1 / 32
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Iterate:
    """Prune step by step to the budget, with training and scores anew in between.

    A step after which the task's ``evaluate`` gives more than ``drop`` less than the original is taken back and
    tried at half its size (the controller of automatic attention pruning, AISTATS 2023, around any score). It ends at
    the budget, or where nothing more is possible: the report's rounds tell which.

    Attributes:
        step: how much of the original's cost goes in a step, where several costs are limited of the one limited most.
        drop: how much less than the original ``evaluate`` may give.
        rounds: at most so many.
        tune: whether to train after each step.
        journal: a folder that keeps trained weights and figures, so that an interrupted run goes on; empty for none.
    """

    name: ClassVar[str] = "iterate"
    step: float = 0.1
    drop: float = 0.01
    rounds: int = 50
    tune: bool = True
    journal: str = ""

    def __post_init__(self) -> None:
        check_options(self)
        if not 0 < self.step <= 1 or not self.drop >= 0 or self.rounds < 1:
            raise UsageError(
                f"step {self.step:g} must be in (0, 1], drop {self.drop:g} 0 or more, rounds {self.rounds} 1 or more"
            )

    def __call__(self, run: Run) -> Attempt:
        goal = self._goal(run)
        if self.journal and run.store is None:
            run.store = Store(self.journal)
        first = run.evaluate(run.original())
        least = _accuracy(first) - self.drop
        held, done = first, 0.0
        step = self.step / max(1 - min(goal.counted.values()), self.step)
        smallest, refused = step * _LEAST, list[Mapping[str, Cut]]()
        for _ in range(self.rounds):
            if done >= 1 or step < smallest:
                break
            run.progress(done)
            aim = min(1.0, done + step)
            if not _met(_between(goal, aim), held):
                tried = self._tried(run, None if held is first else held, _between(goal, aim), refused)
                if tried is None or _accuracy(tried) < least - _ROUNDING:
                    self._refuse(run, tried, first)
                    refused += [] if tried is None else [tried.plan.cuts]
                    step = (aim - done) / 2
                    continue
                held = run.accept(tried)
            done = aim
        return self._taken(run, held, first, done)

    def _goal(self, run: Run) -> Budget:
        """The budget, of what can be counted, once everything is there that the rounds need."""
        goal = run.parts.budget
        if goal.dead or goal.latency is not None:
            raise UsageError(
                f"driver '{self.name}' goes to a budget step by step, which '{goal}' has no steps for",
                advice="ask for macs, params, size or channels; driver 'latency' holds budgets of time",
            )
        for part in ("evaluate", *(("tune",) if self.tune else ())):
            run.task.need(part, f"driver '{self.name}'")
        return goal

    def _tried(
        self, run: Run, start: Attempt | None, budget: Budget, refused: list[Mapping[str, Cut]]
    ) -> Attempt | None:
        """One round; None where the budget cannot be met from here, or by what was refused before alone."""
        try:
            tried = run.attempt(start, str(budget))
        except BudgetError as error:
            run.miss(str(budget), error.what)
            return None
        if tried.plan.cuts in refused:
            return None
        return run.evaluate(run.tune(tried) if self.tune else tried)

    def _refuse(self, run: Run, tried: Attempt | None, first: Attempt) -> None:
        if tried is not None:
            lost = _accuracy(first) - _accuracy(tried)
            run.reject(tried, f"evaluate gave {lost:.4g} less than the original, {self.drop:g} may go")

    def _taken(self, run: Run, held: Attempt, first: Attempt, done: float) -> Attempt:
        if done < 1:
            refused = [one.why for one in run.rounds if not one.accepted]
            why = refused[-1] if refused else f"{self.rounds} rounds were not enough"
            if held is first:
                raise BudgetError(
                    f"no step towards the budget {run.parts.budget} held: {why}",
                    advice="allow a larger drop, take smaller steps, or train for longer",
                )
            run.ended = f"the budget {run.parts.budget} was not reached: {why}"
        return held


def _accuracy(attempt: Attempt) -> float:
    assert attempt.accuracy is not None
    return attempt.accuracy


def _between(goal: Budget, done: float) -> Budget:
    """The budget a part of the way."""
    # Nine places: budgets are read by people too.
    return Budget({kind: round(1 - done * (1 - fraction), 9) for kind, fraction in goal.counted.items()})


def _met(budget: Budget, attempt: Attempt) -> bool:
    """Return whether a step before went so far."""
    now, original = graph_cost(attempt.graph), graph_cost(attempt.whole)
    return budget.met({kind: now[kind] for kind in budget.counted}, original)
