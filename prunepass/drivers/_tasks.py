"""Hooks that training may call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Hooks:
    """Functions that ``tune`` may call while it trains.

    Attributes:
        progress: is told how far the training is, from 0 to 1.
    """

    progress: Callable[[float], None]
