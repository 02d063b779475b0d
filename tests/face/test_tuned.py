"""The proof of a model that was trained after its cut."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import prunepass as pp
from tests.face.small import NETS, joined, made, tune


@pytest.mark.parametrize("name", NETS)
def test_a_tuned_model_is_the_masked_original_with_its_weights(name: str) -> None:
    model, x = made(name)
    found = pp.prune(model, x, budget="macs=0.6", score="l2")
    before = copy.deepcopy(model.state_dict())
    tune(found.model, x)
    with pytest.raises(pp.VerificationError):
        pp.verify(model, found.model.eval(), found.plan, x)
    found.model.train()
    pp.verify(model, found.model, found.plan, x, weights="tuned")
    assert found.model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_rounds_with_training_between_them_are_proven_by_one_plan() -> None:
    model, x = made("residual")
    first = pp.prune(model, x, budget="macs=0.8", score="l2")
    tune(first.model, x)
    first.model.eval()
    later = pp.prune(first.model, x, budget="macs=0.8", score="l2")
    tune(later.model, x)
    later.model.eval()
    pp.verify(model, later.model, first.plan.then(later.plan), x, weights="tuned")


def other_shape(net: nn.Module) -> None:
    net.one = nn.Conv2d(net.one.in_channels, net.one.out_channels + 1, 1)
    net.two = nn.Conv2d(net.one.out_channels, net.two.out_channels, 3, padding=1)


def broken_shape(net: nn.Module) -> None:
    net.two = nn.Conv2d(net.two.in_channels + 1, net.two.out_channels, 3, padding=1)


def extra_bias(net: nn.Module) -> None:
    net.fc = nn.Sequential(net.fc, nn.Linear(4, 4))


def extra_zero(net: nn.Module) -> None:
    net.fc.extra = nn.Parameter(torch.zeros(4))
    net.fc.forward = lambda x: nn.functional.linear(x, net.fc.weight, net.fc.bias + net.fc.extra)


def swapped(net: nn.Module) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(net.stem(net.bn.weight.sum() * x))
        x = torch.relu(net.bn(x) + net.two(torch.sigmoid(net.one(x))))
        return net.fc(x.mean((2, 3)))

    net.forward = forward


def other_function(net: nn.Module) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(net.bn(net.stem(x)))
        x = torch.relu(x + net.two(torch.tanh(net.one(x))))
        return net.fc(x.mean((2, 3)))

    net.forward = forward


def other_type(net: nn.Module) -> None:
    net.half()


FAULTS: tuple[Callable[[nn.Module], None], ...] = (
    other_shape,
    broken_shape,
    extra_bias,
    extra_zero,
    swapped,
    other_function,
    other_type,
)


@cache
def trained() -> tuple[pp.Plan, nn.Module]:
    model, x = made("residual")
    found = pp.prune(model, x, budget="macs=0.6", score="l2")
    tune(found.model, x)
    return found.plan, found.model.eval()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_change_of_structure_is_no_training(fault: Callable[[nn.Module], None]) -> None:
    (model, x), (plan, small) = made("residual"), trained()
    small = copy.deepcopy(small)
    fault(small)
    with pytest.raises(pp.VerificationError):
        pp.verify(model, small, plan, x, weights="tuned")


def test_what_was_tied_and_is_two_now_is_refused() -> None:
    model, x = made("tied")
    found = pp.prune(model, x, budget="macs=0.6", score="l2")
    found.model.head.weight = nn.Parameter(found.model.head.weight.detach() + 0.1)
    with pytest.raises(pp.VerificationError, match="has a weight"):
        pp.verify(model, found.model, found.plan, x, weights="tuned")


def tuned_onnx(model: onnx.ModelProto) -> onnx.ModelProto:
    rng, tuned = np.random.default_rng(1), onnx.ModelProto()
    tuned.CopyFrom(model)
    for weight in tuned.graph.initializer:
        data = numpy_helper.to_array(weight)
        if data.dtype == np.float32:
            noise = rng.normal(0, 0.1, data.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(data + noise, weight.name))
    return tuned


def test_a_tuned_onnx_model_is_proven_and_one_of_another_structure_is_not() -> None:
    found = pp.prune(joined(), budget="macs=0.6", score="l2")
    tuned = tuned_onnx(found.model)
    with pytest.raises(pp.VerificationError):
        pp.verify(joined(), tuned, found.plan)
    pp.verify(joined(), tuned, found.plan, weights="tuned")
    by_name = {node.name: node for node in tuned.graph.node}
    one, two = by_name["sigmoid"], by_name["relu"]
    one.op_type, two.op_type = two.op_type, one.op_type
    with pytest.raises(pp.VerificationError):
        pp.verify(joined(), tuned, found.plan, weights="tuned")


def test_weights_are_those_of_the_plan_or_tuned() -> None:
    model, x = made("residual")
    plan, _ = trained()
    with pytest.raises(pp.UsageError, match="'plan' or 'tuned'"):
        pp.verify(model, model, plan, x, weights="trained")
