"""Summaries of the demonstrations by network, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..measure import Measurement

# The 97.5 % point of the normal law: intervals hold in 95 of 100 cases.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``count`` trials; ``effective`` is how many independent ones they are worth."""

    hits: int
    count: int
    effective: float = 0.0

    @property
    def value(self) -> float:
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 % (E. B. Wilson, JASA 22, 1927)."""
        count = self.effective or self.count
        spread = _Z * sqrt(self.value * (1 - self.value) / count + (_Z / (2 * count)) ** 2)
        middle, scale = self.value + _Z * _Z / (2 * count), 1 + _Z * _Z / count
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % ({100 * low:.0f}-{100 * high:.0f})"


def share_of_clusters(hits: npt.NDArray[np.bool_], cluster: npt.NDArray[np.int64]) -> Share:
    """The share of hits where trials of one cluster (crops of one photo) resemble each other.

    The number of independent trials that they are worth follows from the variance between clusters (the
    design effect of L. Kish, Survey Sampling, 1965), at least one a cluster.
    """
    total, count = int(hits.sum()), len(hits)
    sizes = np.bincount(cluster)
    mean = total / count
    residuals = np.bincount(cluster, weights=hits) - mean * sizes
    between = float(np.sum(residuals**2)) / count**2 * len(sizes) / max(len(sizes) - 1, 1)
    independent = mean * (1 - mean) / between if between else float(count)
    return Share(total, count, min(max(independent, float(len(sizes))), float(count)))


@dataclass(frozen=True)
class Net:
    """One network of a demonstration.

    Attributes:
        model: in a form that an engine builds.
        macs: share of the original's multiply-accumulates.
        shares: what was counted, by name of the column.
        speed: measured against the original in the same run; None before.
        note: proof or score, for the table.
    """

    name: str
    model: Any
    macs: float
    shares: dict[str, Share]
    speed: Measurement | None = None
    note: str = ""


def net_table(title: str, nets: Sequence[Net]) -> RenderableType:
    """One row a network, the original first."""
    from ..cli.face import table

    columns = ["network", ">MACs", ">faster", ">ms", *(f">{name}" for name in nets[0].shares), "note"]
    rows = []
    for net in nets:
        speed = net.speed
        timed = (f"{speed.faster('cpu').median:.2f}x", f"{speed.cpu.median:.2f}") if speed else ("-", "-")
        rows.append([net.name, f"{net.macs:.2f}", *timed, *map(str, net.shares.values()), net.note])
    return table(title, columns, rows)
