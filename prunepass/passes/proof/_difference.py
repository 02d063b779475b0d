"""Distance of two arrays."""

from __future__ import annotations

import numpy as np

from ...ir import Array


def relative_error(got: Array, want: Array) -> float:
    """Largest difference, relative to the largest finite magnitude; equal infinities and NaN agree."""
    if got.size == 0:
        return 0.0
    if want.dtype.kind not in "fc":
        return float(np.any(got != want))
    odd = ~(np.isfinite(got) & np.isfinite(want))
    if odd.any() and not np.array_equal(got[odd], want[odd], equal_nan=True):
        return float("inf")
    gap = gap_between(got, want)
    return gap / max(float(np.max(np.abs(want), where=np.isfinite(want), initial=0.0)), 1e-30) if gap else 0.0


def gap_between(got: Array, want: Array) -> float:
    """Largest difference between finite entries."""
    if want.dtype.kind not in "fc":
        return 0.0
    with np.errstate(invalid="ignore"):
        gaps = np.abs(got - want)
    return float(np.max(gaps, where=np.isfinite(gaps), initial=0.0))
