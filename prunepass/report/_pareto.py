"""The Pareto front of trials."""

from __future__ import annotations

from collections.abc import Sequence

from ._page import Quality, Trial

_DECADES = 100.0


def front(trials: Sequence[Trial], quality: Quality) -> tuple[Trial, ...]:
    """Trials that neither another one nor the original beats in speed and quality, fastest last.

    Trials without a speed or a quality take no part. Speed is that of the CPU clock, the median ratio.
    """
    known = [(trial, _figures(trial, quality)) for trial in trials]
    rivals = [figures for _, figures in known if figures is not None]
    if quality.original is not None:
        rivals.append((1.0, _good(quality.original, quality)))
    best = [
        (figures[0], trial.name, trial)
        for trial, figures in known
        if figures is not None and not any(_beats(rival, figures) for rival in rivals)
    ]
    return tuple(trial for _, _, trial in sorted(best, key=lambda each: each[:2]))


def spans_decades(trials: Sequence[Trial], quality: Quality) -> bool:
    """Return whether only a logarithmic axis tells the qualities apart: errors from tiny to large."""
    values = [trial.quality for trial in trials if trial.faster is not None and trial.quality is not None]
    return not quality.rising and bool(values) and min(values) > 0 and max(values) > _DECADES * min(values)


def _figures(trial: Trial, quality: Quality) -> tuple[float, float] | None:
    """Speed and quality, more is better; None where one is not known."""
    if trial.faster is None or trial.quality is None:
        return None
    return trial.faster.median, _good(trial.quality, quality)


def _good(value: float, quality: Quality) -> float:
    return value if quality.rising else -value


def _beats(theirs: tuple[float, float], ours: tuple[float, float]) -> bool:
    return theirs != ours and theirs[0] >= ours[0] and theirs[1] >= ours[1]
