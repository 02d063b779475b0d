"""Intervals and tables of the demonstrations."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from prunepass.demo._nets import Net, Share, net_table, share_of_clusters


@pytest.mark.parametrize(
    ("hits", "count", "interval"),
    # The closed forms at the ends are 0 .. z^2 / (n + z^2) and n / (n + z^2) .. 1 with z = 1.959964.
    [(8, 10, (0.4902, 0.9433)), (0, 20, (0.0, 0.1611)), (20, 20, (0.8389, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_intervals_are_wilsons(hits: int, count: int, interval: tuple[float, float]) -> None:
    assert Share(hits, count).interval == pytest.approx(interval, abs=1e-4)


def test_crops_that_agree_within_a_photo_are_worth_one_trial_each() -> None:
    hits = np.repeat(np.arange(30) % 2 == 0, 8)
    share = share_of_clusters(hits, np.repeat(np.arange(30), 8))
    assert (share.hits, share.count) == (120, 240)
    assert share.effective == 30
    low, high = share.interval
    assert high - low > 2 * (Share(120, 240).interval[1] - Share(120, 240).interval[0])


def test_independent_crops_count_in_full() -> None:
    hits = np.random.default_rng(0).random(4000) < 0.7
    assert share_of_clusters(hits, np.repeat(np.arange(1000), 4)).effective > 3000


@pytest.mark.parametrize("hits", [np.ones(12, bool), np.zeros(12, bool)])
def test_unanimous_crops_have_an_interval_too(hits: np.ndarray) -> None:
    low, high = share_of_clusters(hits, np.repeat(np.arange(3), 4)).interval
    assert 0 <= low < high <= 1


def test_the_table_shows_every_share_with_its_interval() -> None:
    nets = [
        Net("original", None, 1.0, {"accuracy": Share(9, 10)}),
        Net("half", None, 0.5, {"accuracy": Share(5, 10)}),
    ]
    console = Console(width=200, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(net_table("title", nets))
    assert "50.0 % (24-76)" in captured.get()
    assert "0.50" in captured.get()
