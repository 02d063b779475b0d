"""The driver ``once``: one plan, one cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._attempt import Attempt
from ._run import Run


@dataclass(frozen=True)
class Once:
    """Prune in one step."""

    name: ClassVar[str] = "once"

    def __call__(self, run: Run) -> Attempt:
        # What may be refused for its time must not have changed the user's object.
        return run.attempt(inplace=run.inplace and run.watch is None)
