"""Budgets: how they are written, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import UsageError
from prunepass.passes import Budget, Cost, Select, couple
from tests.graphs import chain

WHOLE = Cost(macs=1000, params=100, size=400, channels=10)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("macs=0.5", {"macs": 0.5}),
        (" macs = 0.5 , params=0.6 ", {"macs": 0.5, "params": 0.6}),
        ("size=1", {"size": 1.0}),
        ("macs:0.5,params:0.6", {"macs": 0.5, "params": 0.6}),
        ("channels=5e-1", {"channels": 0.5}),
        ({"macs": 0.25}, {"macs": 0.25}),
    ],
)
def test_kinds_and_fractions_are_read(text: str | dict[str, float], limits: dict[str, float]) -> None:
    budget = Budget.parse(text)
    assert budget.limits == limits
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no budget"),
        ("macs", "'macs' is no budget"),
        ("macs=half", "'macs=half' is no budget"),
        ("macs=0.5,", "'' is no budget"),
        ("flops=0.5", "no budget 'flops'"),
        ("macs=0", r"in \(0, 1\]"),
        ("macs=-1", r"in \(0, 1\]"),
        ("macs=50", r"in \(0, 1\]"),
        ("macs=nan", r"in \(0, 1\]"),
    ],
)
def test_what_is_no_budget_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Budget.parse(text)


def test_every_limit_must_hold() -> None:
    budget = Budget.parse("macs=0.5,params=0.6")
    totals = {"macs": 500, "params": 60, "size": 400, "channels": 10}
    assert budget.met(totals, WHOLE)
    assert not budget.met({**totals, "macs": 501}, WHOLE)
    assert not budget.met({**totals, "params": 61}, WHOLE)


def test_a_refusal_tells_how_near_every_limit_came() -> None:
    error = Budget.parse("macs=0.5,params=0.6").refuse({"macs": 750, "params": 60}, WHOLE, "it is all pinned")
    assert "it is all pinned; the nearest is macs=0.750, params=0.600" in str(error)


def test_a_latency_limit_is_measured_and_no_part_of_what_is_counted() -> None:
    budget = Budget.parse("latency=0.6,params=0.5")
    assert budget.latency == 0.6
    assert budget.counted == {"params": 0.5}
    assert budget.met({"macs": 1000, "params": 50, "size": 400, "channels": 10}, WHOLE)
    assert Budget.parse("macs=0.5").latency is None


def test_of_no_channels_all_are_kept() -> None:
    pinned = Cost(macs=1000, params=100, size=400, channels=0)
    error = Budget.parse("channels=0.6").refuse({"channels": 0}, pinned, "it is all pinned")
    assert "the nearest is channels=1.000" in str(error)


@pytest.mark.parametrize("kept", [0.5, 84 / 136, 0.6176471, 1 / 3, 1.0, 1e-9])
def test_the_text_of_a_budget_is_the_budget(kept: float) -> None:
    budget = Budget({"channels": kept})
    assert Budget.parse(str(budget)) == budget


def test_a_budget_that_is_met_by_a_hair_is_met() -> None:
    # 84 of 136 channels are fewer than this by less than six digits tell.
    coupling = couple(chain(136))
    scores = {group.name: np.arange(group.size, dtype=float) for group in coupling.prunable}
    plan = Select(budget="channels=0.6176471").plan(coupling, scores)
    assert [len(cut.remove) for cut in plan.cuts.values()] == [52]
