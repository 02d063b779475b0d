"""Places for the boxes of a network: a row for each step from the input, columns by who reads whom."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

_SWEEPS = 4
_NEAR = 0.6


@dataclass(frozen=True)
class Placed:
    """Where each box is.

    Attributes:
        rows: by box; a box is below all that it reads.
        columns: by box, from the middle; boxes of one row are at least 1 apart.
    """

    rows: tuple[int, ...]
    columns: tuple[float, ...]

    def blocked(self, read: int, at: int) -> bool:
        """Return whether a box stands between two others on their straight way."""
        first, last = self.rows[read], self.rows[at]
        for row in range(first + 1, last):
            share = (row - first) / (last - first)
            way = self.columns[read] + share * (self.columns[at] - self.columns[read])
            if any(abs(column - way) < _NEAR for column in self._by_row.get(row, ())):
                return True
        return False

    @cached_property
    def _by_row(self) -> Mapping[int, list[float]]:
        found: dict[int, list[float]] = {}
        for row, column in zip(self.rows, self.columns, strict=True):
            found.setdefault(row, []).append(column)
        return found


def placed(reads: Sequence[Sequence[int]]) -> Placed:
    """Places for boxes that read the boxes of smaller numbers.

    The barycentre rule of layered drawing (Sugiyama, Tagawa, Toda 1981): a box strives to the middle of what it
    reads, then of what reads it; those of one row keep a distance.
    """
    rows = _rows(reads)
    by_row: dict[int, list[int]] = {}
    for box, row in enumerate(rows):
        by_row.setdefault(row, []).append(box)
    below: list[list[int]] = [[] for _ in reads]
    for box, read in enumerate(reads):
        for one in read:
            below[one].append(box)
    columns = [0.0] * len(rows)
    for boxes in by_row.values():
        _spread(boxes, columns)
    for sweep in range(_SWEEPS):
        near = reads if sweep % 2 == 0 else below
        for row in sorted(by_row, reverse=sweep % 2 == 1):
            for box in by_row[row]:
                if near[box]:
                    columns[box] = sum(columns[one] for one in near[box]) / len(near[box])
            _spread(by_row[row], columns)
    return Placed(tuple(rows), tuple(columns))


def _rows(reads: Sequence[Sequence[int]]) -> list[int]:
    rows = list[int]()
    for read in reads:
        rows.append(max((rows[one] for one in read), default=-1) + 1)
    return rows


def _spread(row: Sequence[int], columns: list[float]) -> None:
    """Move boxes of one row apart, in their order and around their middle."""
    ordered = sorted(row, key=lambda box: (columns[box], box))
    middle = sum(columns[box] for box in ordered) / len(ordered)
    for left, right in itertools.pairwise(ordered):
        columns[right] = max(columns[right], columns[left] + 1)
    shift = middle - sum(columns[box] for box in ordered) / len(ordered)
    for box in ordered:
        columns[box] += shift
