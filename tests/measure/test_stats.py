from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunepass.ir import UsageError
from prunepass.measure import Ratio, ratio, statistics

SECONDS = st.lists(st.floats(1e-6, 10), min_size=1, max_size=50)


@given(SECONDS)
def test_statistics_are_those_of_numpy_in_milliseconds(seconds: list[float]) -> None:
    found = statistics(seconds)
    data = np.asarray(seconds) * 1e3
    for name, wanted in (("min", data.min()), ("max", data.max()), ("mean", data.mean())):
        assert getattr(found, name) == pytest.approx(wanted)
    for name, percent in (("median", 50), ("p10", 10), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert getattr(found, name) == pytest.approx(np.percentile(data, percent))
    assert found.cov == pytest.approx(data.std() / data.mean())
    assert found.count == len(seconds)


def test_statistics_are_plain_numbers() -> None:
    assert {type(value) for value in asdict(statistics(np.ones(3, np.float32))).values()} == {float, int}


def test_an_engine_that_took_no_time_does_not_vary() -> None:
    assert statistics([0.0, 0.0]).cov == 0


def test_no_sample_is_told() -> None:
    with pytest.raises(UsageError, match="no sample"):
        statistics([])


@given(SECONDS, st.floats(0.1, 10))
def test_a_constant_ratio_survives_any_drift(first: list[float], factor: float) -> None:
    found = ratio(first, np.asarray(first) / factor)
    assert (found.median, found.p10, found.p90) == pytest.approx((factor, factor, factor))


def test_ratios_are_taken_round_by_round() -> None:
    # The ratio of the medians would be 1.
    assert ratio([1.0, 2.0, 4.0], [0.5, 4.0, 2.0]) == Ratio(2.0, pytest.approx(0.8), 2.0)


def test_rounds_that_a_coarse_clock_missed_do_not_count() -> None:
    assert ratio([0.0, 2.0, 1.0], [1.0, 1.0, 0.0]).median == 2
    assert ratio([0.0], [0.0]) == Ratio(1, 1, 1)


def test_rounds_that_cannot_be_paired_are_told() -> None:
    with pytest.raises(UsageError, match="paired"):
        ratio([1.0, 2.0], [1.0])
