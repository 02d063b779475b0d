from __future__ import annotations

from dataclasses import replace

import pytest

from prunepass.report import to_html
from prunepass.report._pareto import spans_decades
from prunepass.report._plot import Scale
from tests.report import pages


def test_what_is_better_is_further_up() -> None:
    rising, falling = Scale([1.0, 2.0]), Scale([1.0, 2.0], falling=True)
    assert 0 < rising.at(1.0) < rising.at(2.0) < 100
    assert 0 < falling.at(2.0) < falling.at(1.0) < 100


def test_decades_have_equal_steps_and_few_ticks() -> None:
    scale = Scale([1e-11, 1e-8, 1.0], decades=True)
    assert scale.at(1e-5) - scale.at(1e-8) == pytest.approx(scale.at(1e-2) - scale.at(1e-5))
    assert 3 <= len(scale.ticks()) <= 8
    assert all(0 <= scale.at(tick) <= 100 for tick in scale.ticks())


def test_a_single_value_stands_in_the_middle() -> None:
    assert Scale([0.0]).at(0.0) == pytest.approx(50)


def test_errors_over_many_decades_are_told_apart() -> None:
    page = pages.trials()
    assert page.quality is not None
    assert not spans_decades(page.trials, page.quality)
    tiny = (replace(page.trials[0], quality=1e-9), *page.trials[1:])
    assert spans_decades(tiny, page.quality)
    text = to_html(replace(page, trials=tiny))
    assert "1e-05" in text
    assert "point original" not in text, "no change at all has no place on such an axis"
