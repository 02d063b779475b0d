"""The protocol of a driver, and drivers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from ..ir import UsageError, parse_steps
from ..passes import build
from ._attempt import Attempt
from ._parts import has_latency
from ._run import Run
from ._table import drivers


class Driver(Protocol):
    """A loop around a pipeline: asks a run for attempts and gives the one that it takes.

    A frozen dataclass whose fields are its options; any callable from a run to an attempt will do as an object.
    """

    def __call__(self, run: Run, /) -> Attempt: ...


def driver_of(given: str | Driver | None, pipeline: Any) -> Driver:
    """A driver by name with options (``iterate{step=0.1}``), as it is, or what the pipeline's budget asks for.

    Raises:
        UsageError: there is none of that name, or it is no driver.
    """
    if given is None:
        given = "latency" if any(map(has_latency, pipeline.steps)) else "once"
    if isinstance(given, str):
        steps = list(parse_steps(given, "driver"))
        if len(steps) != 1:
            raise UsageError(f"'{given}' is no driver but {len(steps)}", advice="name one")
        ((name, options),) = steps
        return cast("Driver", build(drivers()[name], options))
    if isinstance(given, type) or not callable(given):
        raise UsageError(
            f"{given!r} is no driver",
            advice="give a name or an object: 'iterate{step=0.1}', Iterate(step=0.1)",
        )
    return given


def driven(driver: Callable[[Run], Any], run: Run) -> Attempt:
    """The attempt that ``driver`` takes.

    Raises:
        UsageError: it gave nothing that can be taken.
    """
    found = driver(run)
    if not isinstance(found, Attempt):
        raise UsageError(
            f"driver '{getattr(driver, 'name', driver)}' gave a {type(found).__name__}, not an attempt",
            advice="a driver returns what run.attempt gave it",
        )
    if found.rejected:
        raise UsageError(
            f"driver '{getattr(driver, 'name', driver)}' gave an attempt that it rejected: {found.rejected}",
            advice="a driver returns an attempt that it accepts",
        )
    return found
