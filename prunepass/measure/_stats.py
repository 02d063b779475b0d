"""Statistics of latencies, named as trtexec names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import UsageError


@dataclass(frozen=True, slots=True)
class Statistics:
    """Latencies in milliseconds.

    Attributes:
        p10, p90, p95, p99: percentiles, linear between neighbours.
        cov: coefficient of variation, standard deviation over mean (0.05 is 5 %).
        count: number of samples.
    """

    min: float
    max: float
    mean: float
    median: float
    p10: float
    p90: float
    p95: float
    p99: float
    cov: float
    count: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """Speed-up over the first engine: above 1 is faster; median, p10 and p90 over the rounds."""

    median: float
    p10: float
    p90: float


def _samples(values: npt.ArrayLike) -> npt.NDArray[Any]:
    samples = np.asarray(values, dtype=np.float64)
    if samples.size == 0:
        raise UsageError("there is no sample", advice="measure at least one inference")
    return samples


def statistics(seconds: npt.ArrayLike) -> Statistics:
    """Statistics of latencies given in seconds.

    Raises:
        UsageError: there is no sample.
    """
    samples = _samples(seconds) * 1e3
    median, p10, p90, p95, p99 = (float(value) for value in np.percentile(samples, (50, 10, 90, 95, 99)))
    least, most, mean = float(samples.min()), float(samples.max()), float(samples.mean())
    cov = float(samples.std()) / mean if mean > 0 else 0.0
    return Statistics(least, most, mean, median, p10, p90, p95, p99, cov, samples.size)


def ratio(first: npt.ArrayLike, other: npt.ArrayLike) -> Ratio:
    """``first / other`` round by round; both hold one time for each round, in any one unit.

    Pairs of one round share the machine's mood, so their ratio is steadier than the ratio of two medians.
    Rounds that a coarse clock saw as zero are left out.

    Raises:
        UsageError: the two differ in length, or there is no round.
    """
    above, below = _samples(first), _samples(other)
    if above.shape != below.shape:
        raise UsageError(f"{above.size} rounds cannot be paired with {below.size}")
    seen = (above > 0) & (below > 0)
    if not seen.any():
        return Ratio(1.0, 1.0, 1.0)
    median, p10, p90 = (float(value) for value in np.percentile(above[seen] / below[seen], (50, 10, 90)))
    return Ratio(median, p10, p90)
