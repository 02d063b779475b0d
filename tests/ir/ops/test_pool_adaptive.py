"""Adaptive pooling in every spelling."""

from __future__ import annotations

from typing import Any

import pytest

from prunepass.ir import Sampler
from tests.probe import assert_bound, data, probe_aten

CASES: list[tuple[int, tuple[int, ...], Any]] = [
    (1, (2, 3, 7), [3]),
    (1, (3, 7), [2]),
    (2, (2, 3, 7, 5), [1, 1]),
    (2, (2, 3, 7, 5), [3, 2]),
    (2, (2, 3, 4, 5), [6, 7]),
    (2, (3, 7, 5), [3, 5]),
    (2, (1, 1, 1, 1), [2, 2]),
    (3, (1, 2, 4, 5, 6), [2, 3, 1]),
]


@pytest.mark.parametrize(("rank", "shape", "size"), CASES)
def test_adaptive_pools(rank: int, shape: tuple[int, ...], size: Any) -> None:
    assert_bound(probe_aten(f"adaptive_avg_pool{rank}d.default", data(*shape), size))
    probe = probe_aten(f"adaptive_max_pool{rank}d.default", data(*shape), size)
    assert_bound(probe)
    assert len(probe.rule.results) == 2
    if rank > 1:
        probe_aten(f"_adaptive_avg_pool{rank}d.default", data(*shape), size)


def test_moments_of_what_is_alike_pass() -> None:
    probe = probe_aten("adaptive_avg_pool2d.default", data(1, 3, 6, 6), [1, 1])
    sample = Sampler().normal(data(1, 3, 1, 1), data(1, 3, 1, 1, seed=1, low=0.5))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample,), Sampler())
    assert moments is sample
