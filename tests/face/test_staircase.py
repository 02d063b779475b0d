"""The grain is decided from steps: what is surely rewarded, pooled over layers."""

from __future__ import annotations

import pytest

from prunepass.targets._staircase import Step, grain_of

WIDTHS = (1, 2, 4, 8, 16)


def steps(stair: int, *, base: int = 64, error: float = 0.001, cliff: int = 1) -> list[Step]:
    """An engine that pads to ``stair`` and is half as fast off multiples of ``cliff``."""
    found = []
    for width in WIDTHS:
        left = base - width
        padded = -(-left // stair) * stair
        found.append(Step(width, padded / base * (2.0 if left % cliff else 1.0), error, left / base))
    return found


@pytest.mark.parametrize("stair", WIDTHS)
def test_the_preferred_multiple_is_the_step_of_the_staircase(stair: int) -> None:
    assert grain_of(steps(stair))[0] == stair


def test_the_minimum_is_where_the_engine_falls_off_its_fast_path() -> None:
    assert grain_of(steps(16, cliff=4)) == (16, 4)
    assert grain_of(steps(8)) == (8, 1)


def test_where_noise_leaves_it_open_the_coarser_multiple_is_taken() -> None:
    assert grain_of(steps(1, error=0.001))[0] == 1
    assert 4 <= grain_of(steps(1, error=0.03))[0] <= 16
    assert grain_of(steps(1, error=1.0))[0] == 32


def test_layers_are_pooled_by_how_sure_they_are() -> None:
    sure, lost = steps(8), [Step(s.width, 1.0, 1.0, s.work) for s in steps(8)]
    assert grain_of([*sure, *lost])[0] == 8


def test_nothing_measured_is_no_grain() -> None:
    assert grain_of([]) == (1, 1)
