"""The part of ``prunepass check`` that holds a model against the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._finding import Finding

if TYPE_CHECKING:
    from ..backends import Clock
    from ..measure import Comparison
    from ._models import Loaded
    from ._promised import Promised

# A latency budget was met as measured when the plan was made; another measurement may differ by this much of it.
MARGIN = 0.03


def timed(original: Loaded, pruned: Loaded, held: Promised, backend: str) -> list[Finding]:
    """Not slower than the original; and where the plan has a latency budget, within it and ``MARGIN``."""
    from ..hosts import open_model
    from ..measure import EngineClock, setting_of

    setting = setting_of(backend, held.threads)
    session = open_model(original.model, original.inputs, form="graph")
    with EngineClock(setting, session, original.model, original.inputs) as clock:
        result = clock.compare(pruned.model)
    return [_speed(result, setting.clock), *_latency(result, setting.clock, held)]


def _speed(result: Comparison, clock: Clock) -> Finding:
    from ..measure import is_slower

    ratio = result.engines[1].faster(clock)
    text = (
        f"{ratio.median:.2f}x as fast by {clock} time ({ratio.p10:.2f}-{ratio.p90:.2f}) on {result.backend}"
    )
    return Finding("speed", not is_slower(result, clock), text)


def _latency(result: Comparison, clock: Clock, held: Promised) -> list[Finding]:
    from ..measure import fraction

    budget = held.limits()
    limit = None if budget is None else budget.latency
    if limit is None:
        return []
    made = held.backend or result.backend
    if made != result.backend:
        return [
            Finding("latency", True, f"not held: the budget is for {made}, measured was {result.backend}")
        ]
    time = fraction(result, clock)
    text = f"{time:.3f} of the original's time, budget {limit:g} and {MARGIN:.0%} of it for measuring again"
    return [Finding("latency", time <= limit * (1 + MARGIN), text)]
