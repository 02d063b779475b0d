"""Rounds of pruning: plans that were made one after the other are one plan for the original."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import prunepass as pp
from tests.face.small import NETS, joined, made

BUDGETS = {
    "residual": ("macs=0.8", "macs=0.7", "macs=0.8"),
    "tied": ("macs=0.8", "macs=0.7"),
    "normalised": ("macs=0.8", "macs=0.7"),
}


@cache
def rounds(name: str) -> tuple[list[pp.Plan], nn.Module]:
    """The plan of every round, and what is left."""
    (model, x), plans = made(name), list[pp.Plan]()
    for budget in BUDGETS[name]:
        found = pp.prune(model, x, budget=budget, score="l2")
        plans.append(found.plan)
        model = found.model
    return plans, model


@pytest.mark.parametrize("name", NETS)
def test_plans_of_rounds_apply_to_the_users_module_in_one_go(name: str, tmp_path: Path) -> None:
    model, x = made(name)
    (whole, *others), last = rounds(name)
    for later in others:
        whole = whole.then(later)
    whole.save(tmp_path / "plan.json")
    small = pp.apply(pp.Plan.load(tmp_path / "plan.json"), model, x)
    assert type(small) is type(model)
    for (key, one), (other, two) in zip(small.state_dict().items(), last.state_dict().items(), strict=True):
        assert key == other and torch.equal(one, two), key
    pp.verify(model, last, whole, x)


def test_rounds_on_an_onnx_model_give_the_same_bytes() -> None:
    first = pp.prune(joined(), budget="macs=0.8", score="l2")
    later = pp.prune(first.model, budget="macs=0.7", score="l2")
    whole = first.plan.then(later.plan)
    small = pp.apply(whole, joined())
    assert isinstance(small, onnx.ModelProto)
    assert small.SerializeToString(deterministic=True) == later.model.SerializeToString(deterministic=True)
    assert whole.options["budget"] == "macs=0.56"


def test_a_plan_of_a_later_round_is_refused_on_the_original() -> None:
    model, x = made("residual")
    (first, later, _), _ = rounds("residual")
    with pytest.raises(pp.UsageError, match="made for another model"):
        pp.apply(later, model, x)
    with pytest.raises(pp.UsageError, match="not made for what the first one leaves") as error:
        later.then(first)
    assert "order" in error.value.advice


def test_a_plan_that_was_loaded_is_joined_with_the_graph_of_its_model(tmp_path: Path) -> None:
    model, x = made("residual")
    (first, later, _), _ = rounds("residual")
    first.save(tmp_path / "first.json")
    loaded = pp.Plan.load(tmp_path / "first.json")
    assert loaded.then(later, pp.capture(model, x)).cuts == first.then(later).cuts
