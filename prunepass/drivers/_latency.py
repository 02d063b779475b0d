"""Meeting a latency budget: predict, plan, measure the real candidate, correct the model, until it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..hosts import Session
from ..ir import Atom, BudgetError, Graph, Index
from ..measure import Comparison, LatencyRound
from ..passes import (
    Budget,
    Clocked,
    Coupling,
    LatencyModel,
    LayerTable,
    Observer,
    Pipeline,
    Plan,
    Point,
    Policy,
    State,
    allowed_widths,
    couple,
    cut,
    least_widths,
    plan_for,
    steps,
)

MAX_ROUNDS = 8
_REPLANS = 4
# Below this share of the budget a plan is made anew; above it, groups are widened step by step.
_NEAR = 0.98
_PROBES, _PROBES_WITH_TABLE = (0.75, 0.5, None, None, None), (0.6, None)
_LEAST_PROBE = 0.3
# A candidate near the budget says more about it than a probe elsewhere.
_WEIGHT = 3.0
_ERRORS = 2.0
_VERIFY = "verify"


class Reading(NamedTuple):
    """A candidate's time over the original's, the standard error of that relative to it, and where it is from."""

    time: float
    error: float = 0.0
    comparison: Comparison | None = None


class Stopwatch(Protocol):
    """Measures a candidate; ``precise`` where the figure decides."""

    def __call__(self, model: Any, precise: bool, /) -> Reading: ...


@dataclass(frozen=True)
class Found:
    """What a search gives: the finished state, the pruned model and its measurement, and the way there."""

    state: State
    model: Any
    comparison: Comparison | None
    rounds: tuple[LatencyRound, ...]
    accepted: int
    probes: int


@dataclass(frozen=True)
class _Tried:
    """A candidate that was measured."""

    widths: Mapping[str, int]
    measured: float
    at: int
    kept: float
    state: State
    model: Any
    reading: Reading


@dataclass
class Search:
    """One search; see :meth:`run`.

    Attributes:
        graph: the captured graph with its pins.
        watch: measures a candidate in the host's own form.
        table: measured times of layers, None where there are none.
        facts: what passes know before the first one, as the task.
        learnt: the model after all corrections, and the widths that it must not be asked for again.
    """

    session: Session
    graph: Graph
    pipeline: Pipeline
    watch: Stopwatch
    table: LayerTable | None = None
    observers: Sequence[Observer] = ()
    rounds: list[LatencyRound] = field(default_factory=list)
    learnt: tuple[LatencyModel, tuple[Mapping[str, int], ...]] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Found:
        """Plan under the predicted time, measure, correct, and repeat; at most ``MAX_ROUNDS`` candidates.

        The result holds the budget as it was measured. No single group of it can be widened by one step of the
        grain and still hold by the corrected model, unless the rounds ran out, or what was left of the budget was
        less than two standard errors of the measurement. A candidate that took too long
        rules out every choice of widths that is nowhere narrower.

        Raises:
            BudgetError: no candidate held the budget; tells the nearest.
            UnsupportedError: the host's own code contradicts a cut.
        """
        head, middle, tail = self._parts()
        state = head(self.graph, self.observers, **self.facts)
        points = list(self._points())
        probes = len(points) - 1
        best = self._rounds(state, middle, points)
        done = tail.resume(best.state, self.observers)
        return Found(done, best.model, best.reading.comparison, tuple(self.rounds), best.at, probes)

    def _parts(self) -> tuple[Pipeline, Pipeline, Pipeline]:
        """The passes before the policy, from there to the proof, and the proof: only the accepted plan is proved."""
        all_steps = self.pipeline.steps
        at = all_steps.index(self.policy)
        after = [place for place, step in enumerate(all_steps) if place > at and step.name == _VERIFY]
        end = after[0] if after else len(all_steps)
        return Pipeline(all_steps[:at]), Pipeline(all_steps[at:end]), Pipeline(all_steps[end:])

    @property
    def policy(self) -> Any:
        return next(step for step in self.pipeline.steps if has_latency(step))

    @property
    def limit(self) -> float:
        return float(Budget.parse(self.policy.budget).latency or 1.0)

    # The model.

    def _points(self) -> Iterator[Point]:
        """The original, and whole networks at equal and at random fractions."""
        coupling = couple(self.graph)
        self.model = LatencyModel.unfitted(coupling, self.policy.widths.coarsest, self.table)
        yield Point(self.model.features({}), 1.0)
        rng = np.random.default_rng(0)
        for fraction in _PROBES_WITH_TABLE if self.table else _PROBES:
            widths = self._spread(coupling, fraction, rng)
            remove = {name: np.arange(coupling.group(name).size - width) for name, width in widths.items()}
            if not any(map(len, remove.values())):
                continue
            model = self._replayed(cut(self.graph, plan_for(coupling, remove)))
            yield Point(
                self.model.features(atoms_of(coupling, widths)), self._measure(model, "probe", False)[0]
            )

    def _spread(self, coupling: Coupling, fraction: float | None, rng: np.random.Generator) -> dict[str, int]:
        """A width on the grain for each group, near ``fraction`` of its size, or a drawn one."""
        grain, least, found = steps(coupling, self.policy.widths), least_widths(coupling), dict[str, int]()
        for group in coupling.prunable:
            assert group.atom is not None
            share = rng.uniform(_LEAST_PROBE, 1.0) if fraction is None else fraction
            widths = allowed_widths(group.size, grain[group.atom], 0.0, least[group.atom])
            found[group.name] = min(widths, key=lambda width: abs(width - share * group.size))
        return found

    # The rounds.

    def _rounds(self, state: State, middle: Pipeline, points: list[Point]) -> _Tried:
        coupling, tried = couple(self.graph), list[_Tried]()
        model, widen = self.model.fitted(points), False
        while len(tried) < MAX_ROUNDS:
            clocked, model = self._next(model, coupling, tried, points, widen)
            self.learnt = (model, clocked.refused)
            planned = middle.resume(state.having(clocked=clocked), self.observers)
            widths = widths_of(coupling, planned.need("plan", "latency"))
            if any(widths == old.widths for old in tried):
                if clocked.start is not None or not any(one.measured <= self.limit for one in tried):
                    break
                widen = True
                continue
            tried.append(self._try(planned, widths, model, coupling))
            points.append(Point(self.model.features(atoms_of(coupling, widths)), tried[-1].measured, _WEIGHT))
            if self._resolved(tried[-1]):
                break
            state = _decided(state, planned)
        held = [one for one in tried if one.measured <= self.limit]
        if not held:
            raise self._failure(tried)
        return max(held, key=lambda one: one.kept)

    def _next(
        self, model: LatencyModel, coupling: Coupling, tried: list[_Tried], points: list[Point], widen: bool
    ) -> tuple[Clocked, LatencyModel]:
        """What to plan with after what was measured."""
        if not tried:
            return Clocked(model, self.limit, offered=True), model
        held = [one for one in tried if one.measured <= self.limit]
        refused = tuple(one.widths for one in tried if one.measured > self.limit)
        best = max(held, key=lambda one: one.kept, default=tried[-1])
        other = min(
            (one for one in tried if abs(one.measured - best.measured) > (1 - _NEAR) * self.limit),
            key=lambda one: abs(one.measured - best.measured),
            default=None,
        )
        model = self.model.fitted(points).anchored(
            atoms_of(coupling, best.widths),
            best.measured,
            (atoms_of(coupling, other.widths), other.measured) if other else None,
        )
        far = best.measured < _NEAR * self.limit and len(tried) < _REPLANS
        replan = not held or (far and not widen)
        start = None if replan else best.widths
        return Clocked(model, self.limit, refused, start, offered=True), model

    def _try(
        self, planned: State, widths: Mapping[str, int], model: LatencyModel, coupling: Coupling
    ) -> _Tried:
        predicted = model.time(atoms_of(coupling, widths))
        pruned = self._replayed(planned.graph)
        reading = self._measure(pruned, "measure", True)
        if reading.time <= self.limit:
            # Of many candidates the one that was lucky would be taken: what counts is measured anew.
            reading = self._measure(pruned, "confirm", True)
        self.rounds.append(LatencyRound(predicted, reading.time))
        kept = _kept(planned, planned.need("plan", "latency"))
        return _Tried(widths, reading.time, len(self.rounds) - 1, kept, planned, pruned, reading)

    def _resolved(self, tried: _Tried) -> bool:
        """Whether what is left of the budget is less than the clock can tell."""
        left = self.limit - tried.measured
        return 0 <= left < _ERRORS * tried.reading.error * tried.measured

    def _failure(self, tried: list[_Tried]) -> BudgetError:
        nearest = min(one.measured for one in tried)
        return BudgetError(
            f"the budget latency={self.limit:g} was not met in {len(tried)} rounds; the nearest is "
            f"latency={nearest:.3f} as measured",
            advice="ask for less, or see with 'prunepass analyze' what is pinned; lower align or floor",
        )

    def _replayed(self, after: Graph) -> Any:
        return self.session.replay(self.graph, after, inplace=False)

    def _measure(self, model: Any, what: str, precise: bool) -> Reading:
        state, begun = State.start(self.graph), perf_counter()
        for observer in self.observers:
            observer.before(what, state)
        result = self.watch(model, precise)
        for observer in self.observers:
            observer.after(what, state, perf_counter() - begun)
        return result


def has_latency(step: object) -> bool:
    """Whether a pass is a policy under a latency budget."""
    return isinstance(step, Policy) and Budget.parse(step.budget).latency is not None


def widths_of(coupling: Coupling, plan: Plan) -> dict[str, int]:
    """What each prunable group keeps, by name."""
    cuts = plan.cuts
    return {
        group.name: group.size - (len(cuts[group.name].remove) if group.name in cuts else 0)
        for group in coupling.prunable
    }


def atoms_of(coupling: Coupling, widths: Mapping[str, int]) -> dict[Atom, int]:
    """The same by atom."""
    return {group.atom: widths[group.name] for group in coupling.prunable if group.atom is not None}


def _kept(state: State, plan: Plan) -> float:
    """The score of the channels that stay."""
    total = 0.0
    for name, values in (state.scores or {}).items():
        removed: Index = np.asarray(plan.cuts[name].remove if name in plan.cuts else (), dtype=np.int64)
        total += float(np.sum(values) - np.sum(np.asarray(values)[removed]))
    return total


def _decided(state: State, planned: State) -> State:
    """Later rounds keep the score that the first one chose."""
    metric = str(planned.need("plan", "latency").options.get("score", ""))
    found = state.candidates or {}
    if len(found) < 2 or metric not in found:
        return state
    return state.having(candidates={metric: found[metric]}, choice=planned.choice)
