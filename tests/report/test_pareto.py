from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prunepass.measure import Ratio
from prunepass.report import Quality, Trial, front
from tests.report.pages import QUALITY, trials

VALUES = st.sampled_from((0.5, 1.0, 1.5, 2.0, 3.0))


def trial(name: str, speed: float, quality: float) -> Trial:
    return Trial(name, faster=Ratio(speed, speed, speed), quality=quality)


def test_the_front_holds_what_neither_another_one_nor_the_original_beats() -> None:
    names = [each.name for each in front(trials().trials, QUALITY)]
    assert names == ["net slow change", "net fast"]


def test_without_the_original_a_slower_trial_may_be_on_the_front() -> None:
    names = [each.name for each in front(trials().trials, replace(QUALITY, original=None))]
    assert names == ["net slower", "net slow change", "net fast"]


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8), st.booleans())
def test_along_the_front_speed_rises_and_quality_falls(
    points: list[tuple[float, float]], rising: bool
) -> None:
    quality = Quality("q", rising, "")
    tried = [trial(str(at), *point) for at, point in enumerate(points)]
    found = front(tried, quality)
    assert found
    sign = 1 if rising else -1
    figures = [(each.faster.median, sign * each.quality) for each in found]  # type: ignore[union-attr,operator]
    assert figures == sorted(figures, key=lambda pair: (pair[0], -pair[1]))
    assert all(a[1] >= b[1] for a, b in pairwise(figures))


def test_trials_that_were_not_measured_take_no_part() -> None:
    assert front([Trial("failed", reason="why"), replace(trial("odd", 2, 1), quality=None)], QUALITY) == ()
