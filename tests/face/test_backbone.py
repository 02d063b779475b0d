"""What the user leaves alone and what may go: layers by module and class, outputs of a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import prunepass as pp
from tests.face.small import Residual, joined, made


class Backbone(nn.Module):
    """Two levels of features; the first is read by the second."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.two = nn.Conv2d(8, 12, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.bn(self.one(x)))
        return x, self.two(x)


def names(model: nn.Module, x: Tensor, **options: Any) -> set[str]:
    return {group.name for group in pp.analyze(pp.capture(model, x), **options).groups if group.prunable}


def test_layers_are_kept_by_name_by_module_and_by_class() -> None:
    model, x = made("residual")
    assert isinstance(model, Residual)
    assert names(model, x) == {"stem", "one"}
    assert names(model, x, keep=[model.one]) == names(model, x, keep=["one"]) == set()
    assert names(model, x, keep=[model.bn]) == names(model, x, keep=[nn.BatchNorm2d]) == {"one"}
    assert names(model, x, keep=[nn.Conv2d]) == names(model, x, keep=[model]) == set()
    result = pp.prune(model, x, budget="channels=0.9", score="l2", keep=[model.fc, nn.BatchNorm2d])
    assert set(result.plan.cuts) == {"one"}


@pytest.mark.parametrize(
    ("keep", "what"),
    [
        ([nn.Linear(2, 2)], "keep names this Linear"),
        ([nn.LSTM], "keep names the class LSTM"),
        ([nn.Module()], "keep names this Module"),
        ([3], "a list of names, modules or classes"),
        ("fc", "a list of names, modules or classes"),
    ],
)
def test_what_is_no_layer_of_the_model_cannot_be_kept(keep: Any, what: str) -> None:
    model, x = made("residual")
    for call in (
        lambda: pp.prune(model, x, keep=keep),
        lambda: pp.analyze(pp.capture(model, x), keep=keep),
    ):
        with pytest.raises(pp.UsageError, match=what):
            call()


def test_a_model_without_modules_has_names_alone() -> None:
    with pytest.raises(pp.UsageError, match="the model has no modules"):
        pp.prune(joined(), keep=[nn.Linear])
    assert pp.analyze(pp.capture(joined()), keep=["conv2"]).groups


def test_a_backbone_is_pruned_to_its_outputs_and_its_plan_says_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Backbone().eval(), torch.randn(2, 3, 8, 8)
    assert names(model, x) == set() and names(model, x, free=["output"]) == {"one", "two"}
    result = pp.prune(model, x, budget="macs=0.5", score="l2", free=["output"])
    first, second = result.model(x)
    assert first.shape[1] == result.model.one.out_channels < 8
    assert second.shape == (2, result.model.two.out_channels, 4, 4)
    result.plan.save(tmp_path / "plan.json")
    plan = pp.Plan.load(tmp_path / "plan.json")
    again = pp.apply(plan, model, x)
    assert all(torch.equal(one, two) for one, two in zip(again(x), result.model(x), strict=True))
    pp.verify(model, again, plan, x)


def test_one_output_of_an_onnx_model_is_freed_by_its_name() -> None:
    graph = pp.capture(joined())
    analysis = pp.analyze(graph, free=["y"])
    assert analysis.group("head").prunable
    plan = pp.Plan.of(analysis, {"head": [1, 3]})
    small = pp.apply(plan, joined())
    assert small.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3
    pp.verify(joined(), small, plan)
    with pytest.raises(pp.UsageError, match="its outputs are y"):
        pp.prune(joined(), free=["z"])
