"""Ridge regression of a matrix towards the one it was, with the strength chosen on inputs outside the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir import Array

_WIDE = 1024
"""Terms from which on the strength is chosen on one half alone, and half the digits have to do."""


@dataclass(frozen=True)
class Fit:
    """Result of a ridge regression.

    Attributes:
        weight: ``(groups, made, terms)``.
        intercept: ``(groups, made)``.
        ridge: strength that was best; None where no change was.
        error_before, error_after: mean squared errors outside the fit.
    """

    weight: Array
    intercept: Array
    ridge: float | None
    error_before: float
    error_after: float


@dataclass
class _Sums:
    zz: Array
    zt: Array
    tt: Array
    z: Array
    t: Array
    rows: float = 0.0

    def joined(self, other: _Sums) -> _Sums:
        """Both, in the memory of this one."""
        self.zz += other.zz
        more = (self.zt + other.zt, self.tt + other.tt, self.z + other.z, self.t + other.t)
        return _Sums(self.zz, *more, self.rows + other.rows)


class Gram:
    """Sums of products of terms and targets, in float64, for two folds of the inputs."""

    def __init__(self, groups: int, terms: int, made: int) -> None:
        self._folds = [
            _Sums(
                np.zeros((groups, terms, terms)), np.zeros((groups, terms, made)), np.zeros((groups, made)),
                np.zeros((groups, terms)), np.zeros((groups, made)),
            )
            for _ in (0, 1)
        ]  # fmt: skip

    def add(self, z: Array, t: Array, fold: Array) -> None:
        """Take rows: terms ``(rows, groups, terms)``, targets ``(rows, groups, made)``, the fold of each."""
        for number, sums in enumerate(self._folds):
            taken = fold == number
            if not np.any(taken):
                continue
            kind = z.dtype if z.shape[2] > _WIDE else np.float64
            one = np.ascontiguousarray(z[taken].transpose(1, 0, 2), dtype=kind)
            two = np.ascontiguousarray(t[taken].transpose(1, 0, 2), dtype=kind)
            sums.zz += one.transpose(0, 2, 1) @ one
            sums.zt += one.transpose(0, 2, 1) @ two
            sums.tt += np.square(two, dtype=np.float64).sum(1)
            sums.z += one.sum(1, dtype=np.float64)
            sums.t += two.sum(1, dtype=np.float64)
            sums.rows += float(np.count_nonzero(taken))

    def solve(
        self, start: Array, *, centred: bool, ridges: Sequence[float] = (0.003, 0.03, 0.3, 3, 30)
    ) -> Fit:
        """The matrix nearest to ``start`` that fits, see the module; the sums are used up."""
        old = np.asarray(start, np.float64).transpose(0, 2, 1)
        folds = [_residual(sums, old) for sums in self._folds]
        none = np.zeros_like(old)
        still = Fit(start, _mean(folds, centred=centred), None, 0.0, 0.0)
        if not all(sums.rows for sums in folds):
            return still
        wide = old.shape[1] > _WIDE
        fits = folds[:1] if wide else folds
        ways = [_Ridges(sums, centred=centred, kind=np.float32) for sums in fits]

        def error(ridge: float | None) -> float:
            more = [none if ridge is None else way.change(ridge) for way in ways]
            shifts = [_intercept(sums, one, centred=centred) for sums, one in zip(fits, more, strict=True)]
            return sum(_error(folds[1 - at], one, shifts[at]) for at, one in enumerate(more))

        before, errors = error(None), _least(ridges, error)
        best = min(errors, key=errors.__getitem__)
        rows = sum(folds[1 - at].rows for at in range(len(fits)))
        if not errors[best] < before:
            return replace(still, error_before=before / rows, error_after=before / rows)
        ways.clear()
        whole = folds[0].joined(folds[1])
        change = _Ridges(whole, centred=centred, kind=np.float32 if wide else np.float64).change(best)
        shift = _intercept(whole, change, centred=centred)
        weight = (old + change).transpose(0, 2, 1)
        return Fit(weight, shift, best, before / rows, errors[best] / rows)


def _residual(sums: _Sums, old: Array) -> _Sums:
    """The same of what ``old`` leaves of the targets, where a change is all that is looked for."""
    made = sums.zz @ old
    left = sums.tt - 2 * np.einsum("gko,gko->go", old, sums.zt) + np.einsum("gko,gko->go", old, made)
    return _Sums(
        sums.zz, sums.zt - made, left, sums.z, sums.t - np.einsum("gk,gko->go", sums.z, old), sums.rows
    )


class _Ridges:
    """Ridge regressions of one system; half the digits will do to choose, in half the time."""

    def __init__(self, sums: _Sums, *, centred: bool, kind: type) -> None:
        count = sums.rows if centred else float("inf")
        terms = sums.zz.shape[1]
        trace = (np.trace(sums.zz, axis1=1, axis2=2) - (sums.z**2).sum(1) / count) / terms
        self._scale = np.maximum(trace, 1e-12 * max(float(np.max(trace, initial=0)), 1e-30))
        # Of data of any size: numbers near 1 keep their digits. Some rows at a time, for there may be gigabytes.
        self._left: Array = np.empty(sums.zz.shape, kind)
        for at in range(0, terms, _WIDE):
            some = slice(at, at + _WIDE)
            part = sums.zz[:, some] - sums.z[:, some, None] * (sums.z[:, None] / count)
            self._left[:, some] = part / self._scale[:, None, None]
        right = sums.zt - sums.z[:, :, None] * (sums.t[:, None] / count)
        self._right: Array = np.asarray(right / self._scale[:, None, None], kind)
        self._added = 0.0

    def change(self, ridge: float) -> Array:
        at = np.arange(self._left.shape[1])
        self._left[:, at, at] += ridge - self._added
        self._added = ridge
        return np.asarray(np.linalg.solve(self._left, self._right), np.float64)


def _least(ridges: Sequence[float], error: Callable[[float], float]) -> dict[float, float]:
    """Errors from the middle strength towards the side on which they fall."""
    ordered, found = sorted(ridges), dict[float, float]()
    middle = len(ordered) // 2
    found[ordered[middle]] = error(ordered[middle])
    for side in (1, -1):
        at = middle + side
        while 0 <= at < len(ordered):
            found[ordered[at]] = error(ordered[at])
            if found[ordered[at]] >= found[ordered[at - side]]:
                break
            at += side
        if at != middle + side:
            break
    return found


def _mean(folds: Sequence[_Sums], *, centred: bool) -> Array:
    """The intercept where nothing else changes."""
    rows = sum(sums.rows for sums in folds)
    total = np.asarray(sum(sums.t for sums in folds))
    return total / rows if centred and rows else np.zeros_like(total)


def _intercept(sums: _Sums, weight: Array, *, centred: bool) -> Array:
    if not centred or not sums.rows:
        return np.zeros_like(sums.t)
    return np.asarray((sums.t - np.einsum("gk,gko->go", sums.z, weight)) / sums.rows)


def _error(sums: _Sums, weight: Array, intercept: Array) -> float:
    each = sums.tt - 2 * np.einsum("gko,gko->go", weight, sums.zt)
    if np.any(weight):
        each = each + np.einsum("gko,gko->go", weight, sums.zz @ weight)
    made = np.einsum("gk,gko->go", sums.z, weight)
    return float(np.sum(each - 2 * intercept * (sums.t - made) + sums.rows * intercept**2))
