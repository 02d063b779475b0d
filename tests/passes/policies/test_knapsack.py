"""The knapsack keeps nearly as much as any choice of widths could."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from prunepass.passes import LatencyModel, counted_cost, couple
from prunepass.passes.policies._packing import CostOfWidths, Item, Limits, give_back, kept_by, pack
from tests.graphs import residual
from tests.passes.legal import free_atoms

COUPLING = couple(residual(32))
MODEL = LatencyModel.unfitted(COUPLING, 8)
MACS = counted_cost(COUPLING)["macs"]


def limits_of(fraction: float, kind: str = "latency") -> Limits:
    costs: dict[str, tuple[CostOfWidths, float]] = {
        "latency": (MODEL, fraction),
        "macs": (MACS, fraction * MACS({})),
    }
    return Limits((costs[kind],))


def items(seed: int, step: int = 8) -> list[Item]:
    rng, made = np.random.default_rng(seed), []
    for leaf in sorted(free_atoms(COUPLING), key=lambda leaf: (leaf.size, id(leaf))):
        total = np.concatenate([[0.0], np.cumsum(np.sort(rng.random(leaf.size))[::-1])])
        widths = tuple(range(leaf.size, 0, -step))
        made.append(Item((leaf,), widths, total[list(widths)]))
    return made


@pytest.mark.parametrize("fraction", [0.8, 0.6, 0.4])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["latency", "macs"])
def test_it_keeps_nearly_as_much_as_the_best_of_all_choices(seed: int, fraction: float, kind: str) -> None:
    groups, limits = items(seed), limits_of(fraction, kind)
    every = (
        dict(zip([item.atoms[0] for item in groups], widths, strict=True))
        for widths in product(*(item.widths for item in groups))
    )
    best = max(kept_by(groups, widths) for widths in every if limits.met(widths))
    chosen = pack(groups, limits)
    assert chosen.met and limits.met(chosen.widths)
    assert chosen.kept >= 0.93 * best


def test_nothing_that_was_given_back_could_have_been_more() -> None:
    groups, limits = items(0), limits_of(0.6)
    least = {item.atoms[0]: item.widths[-1] for item in groups}
    widths = give_back(groups, limits, least)
    for item in groups:
        at = item.widths.index(widths[item.atoms[0]])
        assert at == 0 or not limits.met({**widths, item.atoms[0]: item.widths[at - 1]})


def test_nothing_that_is_nowhere_narrower_than_what_was_refused_is_chosen() -> None:
    groups = items(1)
    first = pack(groups, limits_of(0.6)).widths
    second = pack(groups, Limits(limits_of(0.6).costs, refused=(first,))).widths
    assert any(second[leaf] < width for leaf, width in first.items())


def test_where_even_the_least_is_too_slow_it_says_so() -> None:
    chosen = pack(items(2), limits_of(1e-6))
    assert not chosen.met
    assert all(width == 8 for width in chosen.widths.values())
