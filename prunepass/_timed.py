"""Pruning with an engine at hand: the result is measured, and a latency budget is held to the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from ._clock import EngineClock, LatencyReport, Setting, fraction, is_slower, standard_error
from ._host_check import HostCheck
from ._replayed import checked, replayed
from ._search import Found, Reading, Search, has_latency
from ._targets import Target
from .hosts import Session
from .ir import (
    BudgetError,
    Graph,
    InternalError,
    UnsupportedError,
    VerificationError,
    collected_later,
)
from .measure import Comparison
from .passes import Observer, Pipeline, State

T = TypeVar("T")
_ATTEMPTS = 24


@dataclass(frozen=True)
class Job:
    """What :func:`prunepass.prune` was asked for, opened.

    Attributes:
        given, inputs: the user's model and example inputs.
        graph: as captured, with the user's pins.
    """

    given: Any
    inputs: Any
    session: Session
    graph: Graph
    pipeline: Pipeline
    observers: Sequence[Observer] = ()
    inplace: bool = False


@dataclass(frozen=True)
class Done:
    """A finished pipeline, the pruned model as it was checked in its host, and what was measured of it."""

    state: State
    model: Any
    check: HostCheck
    timing: Comparison | None = None
    latency: LatencyReport | None = None


def counted(job: Job) -> Done:
    """Plan and replay, without a clock."""

    def attempt(graph: Graph) -> Done:
        with collected_later():
            state = job.pipeline(graph, job.observers)
            return Done(state, *replayed(job.session, graph, state.graph, inplace=job.inplace))

    return retried(job, attempt)


def retried(job: Job, attempt: Callable[[Graph], T]) -> T:
    """Where the host's own code contradicts a cut, plan again with what was learnt.

    Raises:
        VerificationError: an output differs, whatever is planned.
        UnsupportedError: the code contradicts every plan.
    """
    graph = job.graph
    for _ in range(_ATTEMPTS):
        try:
            return attempt(graph)
        except UnsupportedError as mismatch:
            constrained = job.session.constrain(graph, mismatch)
            if constrained is graph and isinstance(mismatch.__cause__, VerificationError):
                raise mismatch.__cause__ from None
            if constrained is graph:
                raise
            graph = constrained
    raise InternalError(f"the model's own code contradicted {_ATTEMPTS} plans", advice='use form="graph"')


def timed(job: Job, setting: Setting, target: Target | None, *, allow_slower: bool = False) -> Done:
    """Plan, replay and measure on an engine.

    Raises:
        BudgetError: a latency budget cannot be met, or the pruned engine is slower than the original.
    """
    # The user's own object changes last: a result that is refused must leave it as it was.
    aside = replace(job, inplace=False)
    with EngineClock(setting, job.session, job.given, job.inputs) as clock:
        if any(has_latency(step) for step in job.pipeline.steps):
            done = _searched(aside, clock, target)
        else:
            done = counted(aside)
            done = replace(done, timing=clock.compare(done.model))
    _refuse_slower(done, setting, allow_slower)
    if job.inplace:
        model, check = replayed(job.session, done.state.original, done.state.graph, inplace=True)
        done = replace(done, model=model, check=check)
    return replace(done, state=_recorded(done.state, setting))


def _searched(job: Job, clock: EngineClock, target: Target | None) -> Done:
    setting = clock.setting

    def watch(model: Any, precise: bool) -> Reading:
        found = clock.compare(model, precise=precise)
        return Reading(fraction(found, setting.clock), standard_error(found, setting.clock), found)

    def attempt(graph: Graph) -> Done:
        table = target.table() if target is not None and _fits(target, setting) else None
        search = Search(job.session, graph, job.pipeline, watch, table, job.observers)
        found = search.run()
        report = _report(found, search.limit, setting, target)
        check = checked(job.session, found.model, graph, found.state.graph)
        return Done(found.state, found.model, check, found.comparison, report)

    return retried(job, attempt)


def _fits(target: Target, setting: Setting) -> bool:
    """Whether the times of a target are those of this engine, at as many threads."""
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


def _refuse_slower(done: Done, setting: Setting, allow_slower: bool) -> None:
    if allow_slower or done.timing is None or not is_slower(done.timing, setting.clock):
        return
    first, second = (engine.time(setting.clock).median for engine in done.timing.engines)
    raise BudgetError(
        f"the pruned model is slower on {done.timing.backend}: {second:.3f} ms, the original {first:.3f} ms "
        f"({fraction(done.timing, setting.clock):.3f} of its time, {setting.clock} time)",
        advice="give widths the engine's grain with target= (--target), ask for a latency budget, or allow it "
        "with allow_slower (--allow-slower)",
    )


def _recorded(state: State, setting: Setting) -> State:
    """The plan with the engine that it was made for."""
    plan = state.plan
    if plan is None:
        return state
    made = {**plan.options, **setting.facts()}
    return state.having(plan=msgspec.structs.replace(plan, options=made))
