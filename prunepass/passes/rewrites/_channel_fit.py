"""Least squares of one gain and one shift for each channel, judged on inputs outside the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir import Array

_LEAST, _MOST = 0.3, 3.0


@dataclass(frozen=True)
class ChannelFit:
    """The result.

    Attributes:
        gain, shift: ``gain * made + shift`` is nearest to the target.
        error_before, error_after: mean squared errors outside the fit.
    """

    gain: Array
    shift: Array
    error_before: float
    error_after: float

    @property
    def changed(self) -> bool:
        return bool(np.any(self.gain != 1) or np.any(self.shift != 0))


class ChannelSums:
    """Sums over rows that a fit of each channel needs, for two folds of the inputs.

    Args:
        shape: of one row.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sums = np.zeros((2, 6, *shape))

    def add(self, made: Array, target: Array, fold: Array) -> None:
        """Take rows of what is made and of what should be, with the fold of each, 0 or 1."""
        for number in (0, 1):
            y, t = (np.asarray(one[fold == number], np.float64) for one in (made, target))
            if len(y):
                rows = np.full(y.shape[1:], float(len(y)))
                parts = (y, t, y * y, y * t, t * t)
                self._sums[number] += [rows, *(part.sum(axis=0) for part in parts)]

    def solve(self, *, shifted: bool) -> ChannelFit:
        """The best of no change, a shift alone and both, as each does on the other fold.

        Args:
            shifted: whether there is a place for a shift.
        """
        ways = [_still, *([_shift] if shifted else []), _both if shifted else _gain]
        errors = [sum(_error(way(self._sums[a]), self._sums[1 - a]) for a in (0, 1)) for way in ways]
        judged = bool(np.all(self._sums[:, 0] > 0))
        best = int(np.argmin(errors)) if judged else 0
        rows = float(self._sums[:, 0].sum()) or 1.0
        gain, shift = ways[best](self._sums.sum(axis=0))
        return ChannelFit(gain, shift, errors[0] / rows, errors[best] / rows)


def _still(sums: Array) -> tuple[Array, Array]:
    return np.ones(sums.shape[1:]), np.zeros(sums.shape[1:])


def _shift(sums: Array) -> tuple[Array, Array]:
    return np.ones(sums.shape[1:]), (sums[2] - sums[1]) / np.maximum(sums[0], 1)


def _both(sums: Array) -> tuple[Array, Array]:
    count = np.maximum(sums[0], 1)
    gain = _ratio(sums[4] - sums[1] * sums[2] / count, sums[3] - sums[1] ** 2 / count)
    return gain, (sums[2] - gain * sums[1]) / count


def _gain(sums: Array) -> tuple[Array, Array]:
    return _ratio(sums[4], sums[3]), np.zeros(sums.shape[1:])


def _ratio(top: Array, bottom: Array) -> Array:
    with np.errstate(all="ignore"):
        found = np.where(bottom > 1e-12 * max(float(np.max(bottom, initial=0)), 1e-30), top / bottom, 1.0)
    return np.asarray(np.clip(found, _LEAST, _MOST))


def _error(fit: tuple[Array, Array], sums: Array) -> float:
    gain, shift = fit
    count, y, t, yy, yt, tt = sums
    each = tt - 2 * gain * yt - 2 * shift * t + gain**2 * yy + 2 * gain * shift * y + count * shift**2
    return float(np.sum(each))
