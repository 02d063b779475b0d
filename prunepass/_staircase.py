"""Which multiple of channels an engine rewards, decided from times at neighbouring widths."""

from __future__ import annotations

from collections.abc import Sequence
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
    def rewarded(self) -> bool:
        """Whether it surely brings a fair share of the promised gain."""
        return 1 - self.time - _ERRORS * self.error >= _SHARE * (1 - self.work)

    @property
    def slower(self) -> bool:
        """Whether it surely costs time."""
        return self.time - _ERRORS * self.error > 1


def grain_of(steps: Sequence[Step]) -> tuple[int, int]:
    """``(preferred, minimum)`` multiples from steps of one layer, whose widths are powers of two.

    Preferred is the least width from which on every step is rewarded; where noise leaves it open the coarser
    one is taken, which is never slower. Minimum is the least from which on no step is slower.
    """
    ordered = sorted(steps, key=lambda step: -step.width)
    preferred = _least([(step.width, step.rewarded) for step in ordered])
    minimum = _least([(step.width, not step.slower) for step in ordered])
    return preferred, min(minimum, preferred)


def _least(verdicts: Sequence[tuple[int, bool]]) -> int:
    """The last width, coming from the widest, before the first that fails; twice the widest where all fail."""
    found = 2 * verdicts[0][0] if verdicts else 1
    for width, good in verdicts:
        if not good:
            break
        found = width
    return found
