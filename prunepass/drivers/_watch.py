"""The clock of a run: candidates against the original on the user's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..ir import UsageError
from ..measure import EngineClock, Setting, fraction, standard_error
from ..passes import Pipeline
from ._attempt import Reading
from ._parts import has_latency
from ._run import Run


@contextmanager
def watched(run: Run) -> Iterator[Run]:
    """``run`` with what measures its candidates, where it has an engine."""
    setting = run.setting
    if setting is None:
        yield run
        return
    with EngineClock(setting, run.session, run.given, run.inputs) as clock:

        def read(model: Any, precise: bool) -> Reading:
            found = clock.compare(model, precise=precise)
            return Reading(fraction(found, setting.clock), standard_error(found, setting.clock), found)

        run.watch = read
        yield run


def check_clock(steps: Pipeline, setting: Setting | None) -> None:
    """A latency budget needs an engine.

    Raises:
        UsageError: there is none.
    """
    if setting is None and any(has_latency(step) for step in steps.steps):
        raise UsageError(
            "a latency budget needs an engine to measure on",
            advice="name one with backend= (--backend); 'prunepass backends' lists them",
        )
