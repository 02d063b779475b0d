"""The channel staircase of an engine: the multiple that it rewards, from times at neighbouring widths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# A step of widths is worth taking where it brings at least this share of what the multiply-accumulates promise.
_SHARE = 0.5
_ERRORS = 2.0


@dataclass(frozen=True)
class Step:
    """A layer made narrower by ``width`` channels against itself at a multiple of the coarsest step.

    Attributes:
        time: its time over that at full width, with ``error``, the standard error of that ratio.
        work: its multiply-accumulates over those at full width.
    """

    width: int
    time: float
    error: float
    work: float

    @property
    def share(self) -> float:
        """The part of the promised gain that arrives."""
        return (1 - self.time) / (1 - self.work)

    @property
    def share_error(self) -> float:
        return max(self.error, 1e-6) / (1 - self.work)


def grain_of(steps: Iterable[Step]) -> tuple[int, int]:
    """``(preferred, minimum)`` multiples from steps of several layers, whose widths are powers of two.

    The shares of one width are pooled, weighted by their errors. A width is rewarded where the pooled share is
    half of the promise or more and above nothing by two standard errors; it is slower where it is below nothing
    by as much. Preferred is the least width from which on every one is rewarded: where noise leaves it open the
    coarser one is taken, which never leaves a fast path. Minimum is the least from which on none is slower.
    """
    pooled = sorted(_pooled(steps), reverse=True)
    preferred = _least(
        [(width, share >= _SHARE and share > _ERRORS * error) for width, share, error in pooled]
    )
    minimum = _least([(width, share >= -_ERRORS * error) for width, share, error in pooled])
    return preferred, min(minimum, preferred)


def _pooled(steps: Iterable[Step]) -> Iterator[tuple[int, float, float]]:
    """``(width, share, error)`` over all layers."""
    by_width: dict[int, list[Step]] = {}
    for step in steps:
        by_width.setdefault(step.width, []).append(step)
    for width, found in by_width.items():
        weights = [step.share_error**-2 for step in found]
        share = sum(w * step.share for w, step in zip(weights, found, strict=True)) / sum(weights)
        yield width, share, sum(weights) ** -0.5


def _least(verdicts: Sequence[tuple[int, bool]]) -> int:
    """The last width, coming from the widest, before the first that fails; twice the widest where all fail."""
    found = 2 * verdicts[0][0] if verdicts else 1
    for width, good in verdicts:
        if not good:
            break
        found = width
    return found
