"""The knapsack keeps nearly as much as any choice of widths could."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from prunepass.passes import LatencyModel, couple
from prunepass.passes.policies._knapsack import Item, Limits, choose, give_back, kept_by
from tests.graphs import residual
from tests.passes.legal import free_atoms

COUPLING = couple(residual(32))
MODEL = LatencyModel.unfitted(COUPLING, 8)


def items(seed: int, step: int = 8) -> list[Item]:
    rng, made = np.random.default_rng(seed), []
    for leaf in sorted(free_atoms(COUPLING), key=lambda leaf: (leaf.size, id(leaf))):
        total = np.concatenate([[0.0], np.cumsum(np.sort(rng.random(leaf.size))[::-1])])
        widths = tuple(range(leaf.size, 0, -step))
        made.append(Item(leaf, widths, total[list(widths)]))
    return made


@pytest.mark.parametrize("latency", [0.8, 0.6, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_nearly_as_much_as_the_best_of_all_choices(seed: int, latency: float) -> None:
    groups, limits = items(seed), Limits(MODEL, latency)
    every = (
        dict(zip([item.atom for item in groups], widths, strict=True))
        for widths in product(*(item.widths for item in groups))
    )
    best = max(kept_by(groups, widths) for widths in every if limits.met(widths))
    chosen = choose(groups, limits)
    assert chosen.met and limits.met(chosen.widths)
    assert chosen.kept >= 0.93 * best


def test_nothing_that_was_given_back_could_have_been_more() -> None:
    groups, limits = items(0), Limits(MODEL, 0.6)
    least = {item.atom: item.widths[-1] for item in groups}
    widths = give_back(groups, limits, least)
    for item in groups:
        at = item.widths.index(widths[item.atom])
        assert at == 0 or not limits.met({**widths, item.atom: item.widths[at - 1]})


def test_nothing_that_is_nowhere_narrower_than_what_was_refused_is_chosen() -> None:
    groups = items(1)
    first = choose(groups, Limits(MODEL, 0.6)).widths
    second = choose(groups, Limits(MODEL, 0.6, refused=(first,))).widths
    assert any(second[leaf] < width for leaf, width in first.items())


def test_where_even_the_least_is_too_slow_it_says_so() -> None:
    chosen = choose(items(2), Limits(MODEL, 1e-6))
    assert not chosen.met
    assert all(width == 8 for width in chosen.widths.values())
