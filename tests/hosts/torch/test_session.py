"""One torch model open for work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from prunepass import analyze, capture, prune
from prunepass.hosts import open_model
from prunepass.hosts.torch import open_session
from prunepass.ir import BudgetError, UsageError, VerificationError
from tests.hosts.torch.nets import Literal, Outputs, TwoConvs
from tests.hosts.torch.trials import random_cut

X = torch.randn(2, 4)


def test_outputs_come_in_the_order_of_the_graph_each_once() -> None:
    model = Outputs()
    session = open_session(model, X)
    feeds = session.feeds()
    assert feeds is not None
    made = session.run(model, feeds)
    assert [array.shape for array in made] == [
        session.graph.tensor(name).shape for name in session.graph.outputs
    ]
    np.testing.assert_array_equal(made[1], feeds["x"])


def test_run_takes_other_arrays_than_the_example() -> None:
    session = open_session(Outputs(), X)
    np.testing.assert_array_equal(session.run(Outputs(), {"x": np.zeros((2, 4))})[1], np.zeros((2, 4)))


@pytest.mark.parametrize("form", ["module", "graph"])
def test_replay_gives_the_form_that_was_asked_for(form: str) -> None:
    model = TwoConvs().eval()
    session = open_model(model, torch.randn(1, 3, 5, 5), form=form)
    small = session.replay(session.graph, random_cut(session.graph), inplace=False)
    assert isinstance(small, TwoConvs if form == "module" else fx.GraphModule)
    assert session.form == form


def test_a_mismatch_leads_to_a_graph_that_avoids_it() -> None:
    session = open_model(Literal(), torch.randn(3, 6))
    with pytest.raises(Exception, match="literal") as caught:
        session.replay(session.graph, random_cut(session.graph), inplace=False)
    constrained = session.constrain(session.graph, caught.value)
    assert constrained.pins
    session.replay(constrained, random_cut(constrained), inplace=False)


def test_an_exported_program_brings_its_inputs_and_becomes_a_graph() -> None:
    program = torch.export.export(TwoConvs().eval(), (torch.randn(1, 3, 5, 5),))
    session = open_model(program)
    assert session.form == "graph"
    feeds = session.feeds()
    assert feeds is not None
    small = session.replay(session.graph, random_cut(session.graph), inplace=False)
    assert isinstance(small, nn.Module)
    assert session.run(small, feeds)[0].shape == (1, 4, 5, 5)


def test_a_module_without_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match="example inputs"):
        open_model(TwoConvs())


@pytest.mark.parametrize("given", [None, 5, "net.onnx", nn.ReLU])
def test_what_is_no_module_does_not_run(given: Any) -> None:
    session = open_session(Outputs(), X)
    with pytest.raises(UsageError, match="is no torch model"):
        session.run(given, {"x": np.zeros((2, 4))})


def test_another_model_is_told_apart_from_the_pruned_one() -> None:
    session = open_session(Outputs(), X)
    for model, message in (nn.Linear(3, 3), "fails on the example inputs"), (nn.ReLU(), "gives 1 tensors"):
        with pytest.raises(VerificationError, match=message):
            session.run(model, {"x": np.zeros((2, 4))})


def test_a_model_without_data_is_analysed_and_not_pruned() -> None:
    with torch.device("meta"):
        model = TwoConvs().eval()
    inputs = torch.randn(1, 3, 5, 5, device="meta")
    assert any(group.prunable for group in analyze(capture(model, inputs)).groups)
    with pytest.raises(UsageError, match=r"device meta.*load its weights"):
        prune(model, inputs)


class Attending(nn.Module):
    """Attention over the input itself: torch's module cannot have heads narrower than what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.attend(x, x, x, need_weights=False)[0])


def test_a_budget_that_a_modules_code_stands_in_the_way_of_is_met_as_a_graph() -> None:
    model, inputs = Attending().eval(), torch.randn(1, 5, 16)
    with pytest.raises(BudgetError, match="form='graph' frees"):
        prune(model, inputs, budget="macs=0.7", score="l2")
    found = prune(model, inputs, budget="macs=0.7", score="l2", form="graph").report
    assert found.after.macs <= 0.7 * found.before.macs
    with pytest.raises(BudgetError) as caught:
        prune(model, inputs, budget="macs=0.01", score="l2", form="graph")
    assert "form=" not in caught.value.advice
