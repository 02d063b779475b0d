"""Timing of single calls: process CPU time, which other work on the machine disturbs least."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from time import process_time
from typing import Any


class Stopwatch:
    """Seconds of CPU time by stage; the same stage twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside towards ``name``, also where it fails."""
        start = process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - start


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The median of every number that all ``runs`` have."""
    names = [name for name in runs[0] if all(isinstance(run.get(name), (int, float)) for run in runs)]
    return {name: float(median(run[name] for run in runs)) for name in names}


def rounded(value: float | None, digits: int = 3) -> float | None:
    """``value`` to so many significant digits; measurements are not sharper."""
    return None if value is None else float(f"{value:.{digits}g}")
