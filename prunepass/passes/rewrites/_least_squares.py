"""Ridge regression of a matrix towards the one it was, with the strength chosen on inputs outside the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir import Array


@dataclass(frozen=True)
class Fit:
    """What was found.

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

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.zz + other.zz, self.zt + other.zt, self.tt + other.tt, self.z + other.z, self.t + other.t,
            self.rows + other.rows,
        )  # fmt: skip


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
            one = np.ascontiguousarray(z[taken].transpose(1, 0, 2), dtype=np.float64)
            two = np.ascontiguousarray(t[taken].transpose(1, 0, 2), dtype=np.float64)
            sums.zz += one.transpose(0, 2, 1) @ one
            sums.zt += one.transpose(0, 2, 1) @ two
            sums.tt += (two * two).sum(1)
            sums.z += one.sum(1)
            sums.t += two.sum(1)
            sums.rows += float(np.count_nonzero(taken))

    def solve(
        self, start: Array, *, centred: bool, ridges: Sequence[float] = (0.003, 0.03, 0.3, 3, 30)
    ) -> Fit:
        """The matrix nearest to ``start`` that fits; see the module."""
        old = np.asarray(start, np.float64).transpose(0, 2, 1)
        folds = self._folds
        whole = folds[0] + folds[1]
        still = _intercept(whole, old, centred=centred)
        if not all(sums.rows for sums in folds):
            return Fit(start, still, None, 0.0, 0.0)
        before = self._held_out(old, None, centred=centred)
        errors = {ridge: self._held_out(old, ridge, centred=centred) for ridge in ridges}
        best = min(errors, key=errors.__getitem__)
        rows = whole.rows
        if not errors[best] < before:
            return Fit(start, still, None, before / rows, before / rows)
        weight = _ridge(whole, old, best, centred=centred)
        intercept = _intercept(whole, weight, centred=centred)
        return Fit(weight.transpose(0, 2, 1), intercept, best, before / rows, errors[best] / rows)

    def _held_out(self, old: Array, ridge: float | None, *, centred: bool) -> float:
        found = 0.0
        for at in (0, 1):
            here, there = self._folds[at], self._folds[1 - at]
            weight = old if ridge is None else _ridge(here, old, ridge, centred=centred)
            found += _error(there, weight, _intercept(here, weight, centred=centred))
        return found


def _ridge(sums: _Sums, old: Array, ridge: float, *, centred: bool) -> Array:
    zz, zt = sums.zz, sums.zt
    if centred:
        zz = zz - sums.z[:, :, None] * sums.z[:, None] / sums.rows
        zt = zt - sums.z[:, :, None] * sums.t[:, None] / sums.rows
    terms = zz.shape[1]
    pull = ridge * np.trace(zz, axis1=1, axis2=2) / terms
    pull = np.maximum(pull, 1e-12 * max(float(np.max(pull, initial=0)), 1e-30))
    left = zz + pull[:, None, None] * np.eye(terms)
    return np.asarray(old + np.linalg.solve(left, zt - zz @ old))


def _intercept(sums: _Sums, weight: Array, *, centred: bool) -> Array:
    if not centred or not sums.rows:
        return np.zeros_like(sums.t)
    return (sums.t - np.einsum("gk,gko->go", sums.z, weight)) / sums.rows


def _error(sums: _Sums, weight: Array, intercept: Array) -> float:
    each = sums.tt - 2 * np.einsum("gko,gko->go", weight, sums.zt)
    each = each + np.einsum("gko,gko->go", weight, sums.zz @ weight)
    made = np.einsum("gk,gko->go", sums.z, weight)
    return float(np.sum(each - 2 * intercept * (sums.t - made) + sums.rows * intercept**2))
