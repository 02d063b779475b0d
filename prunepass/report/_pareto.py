"""Which trials no other one beats."""

from __future__ import annotations

from collections.abc import Sequence

from ._page import Quality, Trial


def front(trials: Sequence[Trial], quality: Quality) -> tuple[Trial, ...]:
    """Trials that no other one beats in speed and quality, fastest last.

    Trials without a speed or a quality take no part. Speed is that of the CPU clock, the median ratio.
    """
    known = [trial for trial in trials if trial.faster is not None and trial.quality is not None]
    best = [trial for trial in known if not any(_beats(other, trial, quality) for other in known)]
    return tuple(sorted(best, key=lambda trial: (_speed(trial), trial.name)))


def _speed(trial: Trial) -> float:
    return trial.faster.median if trial.faster is not None else 0.0


def _good(trial: Trial, quality: Quality) -> float:
    value = trial.quality if trial.quality is not None else float("nan")
    return value if quality.rising else -value


def _beats(other: Trial, trial: Trial, quality: Quality) -> bool:
    theirs = (_speed(other), _good(other, quality))
    ours = (_speed(trial), _good(trial, quality))
    return theirs != ours and all(a >= b for a, b in zip(theirs, ours, strict=True))
