"""The part of ``prunepass check`` that holds a model against the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._finding import Finding

if TYPE_CHECKING:
    from ..backends import Clock
    from ..measure import Comparison
    from ..passes import Plan
    from ._models import Loaded

# A latency budget was met as measured when the plan was made; another measurement may differ by this much of it.
MARGIN = 0.03


def timed(original: Loaded, pruned: Loaded, plan: Plan, backend: str) -> list[Finding]:
    """Not slower than the original; and where the plan has a latency budget, within it and ``MARGIN``."""
    from .._clock import EngineClock, setting_of
    from ..hosts import open_model

    threads = plan.options.get("threads", 1)
    setting = setting_of(backend, threads if isinstance(threads, int) else 1)
    session = open_model(original.model, original.inputs, form="graph")
    with EngineClock(setting, session, original.model, original.inputs) as clock:
        result = clock.compare(pruned.model)
    return [_speed(result, setting.clock), *_latency(result, setting.clock, plan)]


def _speed(result: Comparison, clock: Clock) -> Finding:
    from .._clock import is_slower

    ratio = result.engines[1].faster(clock)
    text = (
        f"{ratio.median:.2f}x as fast by {clock} time ({ratio.p10:.2f}-{ratio.p90:.2f}) on {result.backend}"
    )
    return Finding("speed", not is_slower(result, clock), text)


def _latency(result: Comparison, clock: Clock, plan: Plan) -> list[Finding]:
    from .._clock import fraction
    from ..passes import Budget

    text = plan.options.get("budget")
    limit = Budget.parse(text).latency if isinstance(text, str) else None
    if limit is None:
        return []
    made = plan.options.get("backend", result.backend)
    if made != result.backend:
        return [
            Finding("latency", True, f"not held: the budget is for {made}, measured was {result.backend}")
        ]
    time = fraction(result, clock)
    text = f"{time:.3f} of the original's time, budget {limit:g} and {MARGIN:.0%} of it for measuring again"
    return [Finding("latency", time <= limit * (1 + MARGIN), text)]
