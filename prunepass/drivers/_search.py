"""The search for a budget of time: candidates under a model of the engine that each of them corrects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Index
from ..measure import LatencyRound
from ..passes import LatencyLimit, LatencyModel, LayerTable, Plan, Point, State, couple, cut
from ._attempt import Reading
from ._probes import probes
from ._run import Run
from ._trials import Trials, Tried, half_way
from ._widths import Widths, atoms_of, choices_of, widths_of, within

MAX_ROUNDS = 8
_REPLANS = 4
# Below this share of the budget a plan is made anew; above it, groups are widened step by step.
_NEAR = 0.98
# A candidate near the budget says more about it than a probe elsewhere.
_WEIGHT = 3.0
# A model whose predictions are further off after a correction does not know this engine.
_OFF = 0.25
# No time at all, so that the policy widens nothing.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Found:
    """Result of a search: the cut state, the pruned model and its measurement, and the way there."""

    state: State
    model: Any
    reading: Reading
    rounds: tuple[LatencyRound, ...]
    accepted: int
    probes: int


@dataclass
class Search:
    """One search; see :meth:`find`.

    Attributes:
        table: measured times of layers, None where there are none.
        most: candidates at most.
        learnt: the model after all corrections, and the widths that it must not be asked for again.
    """

    run: Run
    table: LayerTable | None = None
    most: int = MAX_ROUNDS
    rounds: list[LatencyRound] = field(default_factory=list)
    learnt: tuple[LatencyModel, tuple[Widths, ...]] | None = None
    _halving: bool = False

    def find(self) -> Found:
        """Plan under the predicted time, measure, correct, and repeat; at most ``most`` candidates.

        The result holds the budget as it was measured. No single group of it can be widened by one step of the
        grain and still hold by the corrected model, unless the rounds ran out, or what was left of the budget was
        less than two standard errors of the measurement. A candidate that took too long
        rules out every choice of widths that is nowhere narrower. Where the corrected model is still far off, what
        lies between a candidate that held and one that did not is halved instead.

        Raises:
            BudgetError: no candidate held the budget; tells the nearest.
            UnsupportedError: the host's own code contradicts a cut.
        """
        self.parts, self.coupling = self.run.parts, couple(self.run.graph)
        self.policy: Any = self.parts.policy
        self.limit = float(self.parts.budget.latency or 1.0)
        state = self.run.with_curves(self.run.scored(), self.parts)
        points = list(self._points())
        best = self._best(state, points)
        return Found(
            best.state,
            best.model,
            best.reading,
            tuple(self.rounds),
            best.at,
            len(points) - 1 - len(self.rounds),
        )

    # The model.

    def _points(self) -> Iterator[Point]:
        """The original, and whole networks at equal and at random fractions."""
        grain = self.policy.widths
        self.model = LatencyModel.unfitted(self.coupling, grain.coarsest, self.table)
        yield Point(self.model.features({}), 1.0)
        for widths, plan in probes(self.coupling, grain, table=bool(self.table)):
            model = self._replayed(cut(self.run.graph, plan))
            time = self.run.timed(model, "probe", precise=False).time
            yield Point(self.model.features(atoms_of(self.coupling, widths)), time)

    # The rounds.

    def _best(self, state: State, points: list[Point]) -> Tried:
        tried = Trials(self.limit)
        model, widen = self.model.fitted(points), False
        while len(tried) < self.most:
            self.run.progress(len(tried) / self.most)
            clocked, model = self._next(model, tried, points, widen)
            self.learnt = (model, clocked.refused)
            state = self.run.chosen(state.having(clocked=clocked), self.parts)
            planned = self.parts.rest.resume(state, self.run.observers)
            widths = widths_of(self.coupling, planned.need("plan", "latency"))
            if widths in tried.seen:
                if clocked.start is not None or not tried.held:
                    break
                widen = True
                continue
            tried.append(self._try(planned, widths, model))
            points.append(self._point(tried[-1]))
            if tried.resolved:
                break
        if not tried.held:
            raise tried.failure()
        return tried.best

    def _next(
        self, model: LatencyModel, tried: Trials, points: list[Point], widen: bool
    ) -> tuple[LatencyLimit, LatencyModel]:
        """The limit to plan with after what was measured."""
        if not tried:
            return LatencyLimit(model, self.limit, offered=True), model
        held, refused, best = tried.held, tuple(tried.refused), tried.best
        model = self._corrected(tried, points, best)
        middle = self._middle(tried)
        if middle is not None:
            return LatencyLimit(model, _NOTHING, refused, middle, offered=True), model
        far = best.measured < _NEAR * self.limit and len(tried) < _REPLANS
        replan = not held or (far and not widen and not self._halving)
        start = None if replan else best.widths
        return LatencyLimit(model, self.limit, refused, start, offered=True), model

    def _corrected(self, tried: Trials, points: list[Point], best: Tried) -> LatencyModel:
        """The model through the best candidate, with a slope where another one was measured as well."""
        other = min(
            (one for one in tried if abs(one.measured - best.measured) > (1 - _NEAR) * self.limit),
            key=lambda one: abs(one.measured - best.measured),
            default=None,
        )
        return self.model.fitted(points).anchored(
            atoms_of(self.coupling, best.widths),
            best.measured,
            (atoms_of(self.coupling, other.widths), other.measured) if other else None,
        )

    def _middle(self, tried: Trials) -> Widths | None:
        """Widths half-way between the best that held and the nearest that did not, where the model is far off."""
        if not self._halving:
            self._halving = len(tried) > 1 and abs(self.rounds[-1].error) > _OFF
        if not self._halving or not tried.refused:
            return None
        choices = choices_of(self.coupling, self.policy.widths, self.policy.floor)
        return half_way(choices, tried, lambda widths: within(self.coupling, self.parts.budget, widths))

    def _try(self, planned: State, widths: Widths, model: LatencyModel) -> Tried:
        predicted = model.time(atoms_of(self.coupling, widths))
        pruned = self._replayed(planned.graph)
        reading = self.run.timed(pruned)
        if reading.time <= self.limit:
            # Of many candidates the one that was lucky would be taken: what counts is measured anew.
            reading = self.run.timed(pruned, "confirm")
        self.rounds.append(LatencyRound(predicted, reading.time))
        kept = _kept(planned, planned.need("plan", "latency"))
        return Tried(widths, reading.time, len(self.rounds) - 1, kept, planned, pruned, reading)

    def _point(self, tried: Tried) -> Point:
        return Point(self.model.features(atoms_of(self.coupling, tried.widths)), tried.measured, _WEIGHT)

    def _replayed(self, after: Any) -> Any:
        return self.run.session.replay(self.run.graph, after, inplace=False)


def _kept(state: State, plan: Plan) -> float:
    """The score of the channels that stay."""
    total = 0.0
    for name, values in (state.scores or {}).items():
        removed: Index = np.asarray(plan.cuts[name].remove if name in plan.cuts else (), dtype=np.int64)
        total += float(np.sum(values) - np.sum(np.asarray(values)[removed]))
    return total
