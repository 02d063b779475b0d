"""Positions of a result that a fit looks at: some at random, some because what stands there is rare."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...ir import Array, Index, WeightedSum

Result = Callable[[int], Array]
"""A result of one part of the inputs by its number."""
_CANDIDATES = 8
_SKETCH = 512


def drawn_rows(sums: Sequence[WeightedSum], result: Result, rows: int, rare: float, seed: int) -> list[Index]:
    """For each part of the inputs the numbers of the positions that are taken, at most ``rows`` in all.

    Plain least squares fits the background of a map; what a detector looks for is a fraction of a percent of it. So
    the share ``rare`` is drawn in proportion to how far the original's value is from its mean.
    """
    total = sum(one.positions for one in sums)
    if total <= rows:
        return [np.arange(one.positions) for one in sums]
    rng = np.random.default_rng(seed)
    mean = _mean(sums, result, rng)
    found = []
    for at, one in enumerate(sums):
        share = rows * one.positions / total
        far = round(share * rare)
        even = _some(rng, one.positions, max(1, round(share) - far))
        found.append(np.sort(np.concatenate([even, _far(rng, one, result(at), mean, far)])))
    return found


def _some(rng: np.random.Generator, size: int, count: int) -> Index:
    return np.asarray(rng.choice(size, min(count, size), replace=False), dtype=np.int64)


def _mean(sums: Sequence[WeightedSum], result: Result, rng: np.random.Generator) -> Array:
    parts = [
        one.made_at(result(at), _some(rng, one.positions, _SKETCH)).mean(axis=0, dtype=np.float64)
        for at, one in enumerate(sums)
    ]
    return np.asarray(np.mean(parts, axis=0))


def _far(rng: np.random.Generator, one: WeightedSum, result: Array, mean: Array, count: int) -> Index:
    candidates = _some(rng, one.positions, _CANDIDATES * count)
    if count < 1:
        return candidates[:0]
    made = one.made_at(result, candidates) - mean.astype(result.dtype)
    far = np.sqrt(np.einsum("rgo,rgo->r", made, made, dtype=np.float64))
    far += 1e-9 * far.max() if far.max() > 0 else 1.0
    chosen = rng.choice(len(candidates), min(count, len(candidates)), replace=False, p=far / far.sum())
    return candidates[chosen]
