"""Capture by torch.export: what is left as it was, and what a user reads when it fails."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from prunepass.hosts.torch import export
from prunepass.ir import UnsupportedError, UsageError
from tests.hosts.torch.nets import Branching, Shared, TwoConvs

IMAGE = torch.ones(2, 3, 8, 8)


def targets(module: fx.GraphModule) -> set[str]:
    return {str(node.target) for node in module.graph.nodes if node.op == "call_function"}


def test_declared_operators_stay_whole() -> None:
    found = targets(export(TwoConvs(), IMAGE))
    assert "aten.conv2d.default" in found
    assert "aten.convolution.default" not in found


def test_in_place_writes_are_functional() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            y += 1
            y[0] = 3
            return y.relu_()

    found = targets(export(InPlace(), torch.ones(2, 3)))
    assert not any(name.rpartition(".")[0].endswith("_") for name in found), found


def test_no_guards_are_left() -> None:
    assert all(node.op != "call_module" for node in export(TwoConvs(), IMAGE).graph.nodes)


def test_the_users_module_is_left_as_it_was() -> None:
    model = TwoConvs()
    model.bn.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    export(model, IMAGE)
    assert model.training
    assert model.a.training
    assert not model.bn.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_capture_is_in_evaluation_mode() -> None:
    assert "aten._native_batch_norm_legit_no_training.default" in targets(export(TwoConvs().train(), IMAGE))


def test_tensors_are_shared_under_the_users_names() -> None:
    model = Shared()
    module = export(model, torch.ones(2, 3, dtype=torch.long))
    assert module.get_parameter("twice.weight") is model.twice.weight


@pytest.mark.parametrize("prepare", [fx.symbolic_trace, lambda m: torch.export.export(m.eval(), (IMAGE,))])
def test_traced_and_exported_models_are_taken_as_well(prepare: object) -> None:
    assert callable(prepare)
    assert "aten.conv2d.default" in targets(export(prepare(TwoConvs()), IMAGE))


def test_an_exported_program_needs_no_inputs() -> None:
    assert "aten.conv2d.default" in targets(export(torch.export.export(TwoConvs().eval(), (IMAGE,))))


def test_an_exported_module_is_taken_although_it_refuses_eval() -> None:
    module = torch.export.export(TwoConvs().eval(), (IMAGE,)).module()
    assert "aten.conv2d.default" in targets(export(module, IMAGE))


def test_a_data_dependent_branch_is_refused_with_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedError, match="cannot be captured") as caught:
        export(Branching(), torch.ones(3))
    assert str(caught.value.where).startswith("nets.py:")
    assert "torch.where" in caught.value.advice
    printed = capfd.readouterr()
    assert not printed.out
    assert not printed.err


def test_a_model_that_fails_by_itself_is_a_usage_error_at_the_users_line() -> None:
    with pytest.raises(UsageError, match="fails on the example inputs") as caught:
        export(TwoConvs(), torch.ones(2, 5, 8, 8))
    assert str(caught.value.where).startswith("a, nets.py:")


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="not a torch model"):
        export([1, 2], IMAGE)


def test_lines_inside_helper_functions_are_noted() -> None:
    def helper(x: torch.Tensor) -> torch.Tensor:
        return x.sin()

    class Calls(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return helper(x)

    node = next(node for node in export(Calls(), torch.ones(2)).graph.nodes if node.op == "call_function")
    assert "in helper" in node.meta["stack_trace"]
