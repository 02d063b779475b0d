from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunepass.report._words import short, three, ticks


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0, "", "0"),
        (999, "", "999"),
        (1000, "", "1.00 k"),
        (154_425_600, "", "154 M"),
        (6_750_356, "B", "6.75 MB"),
    ],
)
def test_large_numbers_have_three_digits_and_a_prefix(number: int, unit: str, text: str) -> None:
    assert short(number, unit) == text


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_even_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3, abs=1e-9)


def test_an_axis_of_one_value_has_one_tick() -> None:
    assert ticks(2.0, 2.0) == [2.0]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (9.99, "9.99"), (48.51, "48.5"), (110.4, "110"), (1234.4, "1234")],
)
def test_times_have_three_digits_and_no_power_of_ten(number: float, text: str) -> None:
    assert three(number) == text
