"""What a driver asks of a task, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any

from ..ir import UsageError

_SPELLING = {
    "evaluate": "task=pp.Task(evaluate=lambda model: accuracy of the model)",
    "tune": "task=pp.Task(tune=lambda model, hooks: train the model in place)",
}


@dataclass(frozen=True)
class Hooks:
    """What ``tune`` may call while it trains.

    Attributes:
        progress: is told how far the training is, from 0 to 1.
    """

    progress: Callable[[float], None]


def part_of(task: object, part: str, by: str) -> Callable[..., Any]:
    """The callable of a task.

    Raises:
        UsageError: it has none; tells how to give it.
    """
    found = getattr(task, part, None)
    if not callable(found):
        raise UsageError(f"{by} needs the task's '{part}'", advice=_SPELLING[part])
    result: Callable[..., Any] = found
    return result


def number(value: object) -> float:
    """What ``evaluate`` gave as a number; a tensor or an array of one entry is one.

    Raises:
        UsageError: it is none, or not finite.
    """
    item = getattr(value, "item", None)
    if not isinstance(value, Real) and callable(item) and getattr(value, "shape", None) in ((), (1,)):
        value = item()
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise UsageError(
            f"evaluate gave {value!r}, which is no finite number",
            advice="it returns one number, the larger the better: an accuracy, or a loss with its sign turned",
        )
    return float(value)
