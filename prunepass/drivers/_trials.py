"""Trials of a search: the candidates that were measured against a limit of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ir import BudgetError
from ..passes import State
from ._attempt import Reading
from ._widths import Widths, path_between

_ERRORS = 2.0


@dataclass(frozen=True)
class Tried:
    """A candidate that was measured."""

    widths: Widths
    measured: float
    at: int
    kept: float
    state: State
    model: Any
    reading: Reading


class Trials(list[Tried]):
    """Candidates in the order in which they were measured.

    Attributes:
        limit: the time that holds, as a fraction of the original's.
    """

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    @property
    def seen(self) -> list[Widths]:
        """Widths of all candidates."""
        return [one.widths for one in self]

    @property
    def held(self) -> list[Tried]:
        """Candidates within the limit."""
        return [one for one in self if one.measured <= self.limit]

    @property
    def refused(self) -> list[Widths]:
        """Widths of candidates beyond the limit."""
        return [one.widths for one in self if one.measured > self.limit]

    @property
    def best(self) -> Tried:
        """The candidate within the limit that keeps most; the last one where none holds."""
        return max(self.held, key=lambda one: one.kept, default=self[-1])

    @property
    def resolved(self) -> bool:
        """Return whether the last candidate leaves less of the budget than the clock can tell."""
        left = self.limit - self[-1].measured
        return 0 <= left < _ERRORS * self[-1].reading.error * self[-1].measured

    def failure(self) -> BudgetError:
        """The error of a search in which no candidate holds."""
        nearest = min(one.measured for one in self)
        return BudgetError(
            f"the budget latency={self.limit:g} was not met in {len(self)} rounds; the nearest is "
            f"latency={nearest:.3f} as measured",
            advice="ask for less, or see with 'prunepass analyze' what is pinned; lower align or floor",
        )


def half_way(
    choices: Mapping[str, list[int]], tried: Trials, allowed: Callable[[Widths], bool]
) -> Widths | None:
    """New widths half-way between the best candidate that held and the nearest that did not.

    Args:
        choices: the widths that each group may take, descending, by name.
        allowed: whether the limits hold that need no clock.
    """
    # Where nothing held yet, the least widths are the best guess.
    low = tried.best.widths if tried.held else {name: widths[-1] for name, widths in choices.items()}
    path = min((path_between(choices, low, old) for old in tried.refused), key=len)
    inner, seen = path[1:-1] if tried.held else path[:-1], tried.seen
    free = [widths for widths in inner if widths not in seen and allowed(widths)]
    return free[len(free) // 2] if free else None
