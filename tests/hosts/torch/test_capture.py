"""The neutral graph of a torch model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from prunepass.hosts.torch import capture, export, feeds
from prunepass.ir import Graph, Tie, evaluate, verify_graph
from tests.hosts.torch.nets import Cache, Choice, Heads, Outputs, Shared, TwoConvs, Undeclared
from tests.hosts.torch.trials import assert_computes, double

TOKENS = torch.arange(6).reshape(2, 3)


def graph_of(model: nn.Module, inputs: object, form: str = "graph") -> Graph:
    graph = capture(export(model, inputs), form=form)
    verify_graph(graph)
    return graph


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Shared(), TOKENS),
        (TwoConvs(groups=2).eval(), torch.randn(2, 3, 5, 5)),
        (Heads(), torch.randn(2, 5, 12)),
        (Undeclared(), torch.randn(2, 4)),
        (Choice(), torch.randn(2, 4)),
        (Cache(), torch.randn(2, 4)),
        (nn.LSTM(4, 5, batch_first=True), torch.randn(2, 3, 4)),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), torch.randn(2, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_graph_computes_what_the_module_computes(model: nn.Module, inputs: torch.Tensor) -> None:
    model, inputs = double((model, inputs))
    module = export(model, inputs)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    graph = capture(module)
    verify_graph(graph)
    assert_computes(model, inputs, graph, module)
    model.load_state_dict(state)


def test_params_carry_the_users_names_and_read_the_live_tensors() -> None:
    model = TwoConvs().eval()
    graph = graph_of(model, torch.ones(1, 3, 4, 4))
    assert set(graph.params) == {
        "a.weight",
        "b.weight",
        "b.bias",
        *(f"bn.{n}" for n in ("weight", "bias")),
    } | {
        "bn.running_mean",
        "bn.running_var",
    }
    with torch.no_grad():
        model.a.weight.fill_(3.0)
    assert graph.params["a.weight"].read().max() == 3
    assert graph.params["a.weight"].trained


def test_one_tensor_under_two_names_is_one_param() -> None:
    graph = graph_of(Shared(), TOKENS)
    assert "embed.weight" in graph.params
    assert "head.weight" not in graph.params
    assert len(graph.readers["embed.weight"]) == 2
    assert len(graph.readers["twice.weight"]) == 2


def test_buffers_that_are_not_stored_and_plain_tensors_are_params() -> None:
    graph = graph_of(Shared(), TOKENS)
    assert graph.params["gain"].trained
    assert graph.params["offset"].trained


def test_half_precision_is_read_as_float32_and_named_as_it_is() -> None:
    graph = graph_of(TwoConvs().bfloat16().eval(), torch.ones(1, 3, 4, 4, dtype=torch.bfloat16))
    assert graph.params["a.weight"].dtype == "bfloat16"
    assert graph.params["a.weight"].read().dtype == np.float32


def test_origins_name_module_and_line_without_folders() -> None:
    graph = graph_of(TwoConvs().eval(), torch.ones(1, 3, 4, 4))
    origin = graph.nodes[0].origin
    assert origin.path == "a"
    assert origin.line.startswith("nets.py:")
    assert graph.name == "TwoConvs"


def test_outputs_are_distinct_and_may_be_inputs_or_params() -> None:
    graph = graph_of(Outputs(), torch.ones(2, 4))
    assert len(graph.outputs) == 3
    assert graph.outputs[1:] == ("x", "linear.weight")


def test_numbers_become_constants_named_after_node_and_argument() -> None:
    graph = graph_of(Outputs(), torch.ones(2, 4))
    param = graph.params["mul.other"]
    assert param.shape == ()
    assert not param.trained
    assert param.read() == 2


def test_results_that_nothing_reads_are_left_out() -> None:
    graph = graph_of(TwoConvs().eval(), torch.ones(1, 3, 4, 4))
    assert all(len(node.outputs) == 1 for node in graph.nodes)


def test_parts_of_a_split_are_results_of_one_node() -> None:
    class Parts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a, _, c = x.chunk(3, dim=1)
            return a + c

    graph = graph_of(Parts(), torch.ones(2, 6))
    assert [len(node.outputs) for node in graph.nodes] == [3, 1]


def test_what_depends_on_no_input_is_folded_into_a_constant() -> None:
    class Table(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = torch.arange(4).flip(0)[None] * 2
            return x + steps + torch.tensor([1.0, 2.0, 3.0, 4.0])

    graph = graph_of(Table(), torch.ones(2, 4))
    assert [node.op for node in graph.nodes] == ["add", "add"]
    constants = [graph.params[node.inputs[1]].read() for node in graph.nodes]
    np.testing.assert_array_equal(constants[0], [[6, 4, 2, 0]])
    np.testing.assert_array_equal(constants[1], [1, 2, 3, 4])
    assert not any(param.trained for param in graph.params.values())


def test_what_reads_a_float_buffer_is_not_folded() -> None:
    class Rates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rates", torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.rates.exp()

    graph = graph_of(Rates(), torch.ones(2, 4))
    assert graph.params["rates"].trained
    assert len(graph.nodes) == 2


def test_random_numbers_are_not_folded() -> None:
    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand(4)

    assert len(graph_of(Noise(), torch.ones(2, 4)).nodes) == 2


def test_an_undeclared_operator_is_foreign_and_tells_its_name() -> None:
    node = next(node for node in graph_of(Undeclared(), torch.ones(2, 4)).nodes if node.op == "foreign")
    assert node.attrs["kind"] == "special_bessel_j0.default"
    assert node.foreign is not None
    assert node.foreign(np.ones((2, 6)))[0].dtype == np.float64


def test_a_branch_in_the_graph_is_foreign() -> None:
    assert [node.op for node in graph_of(Choice(), torch.ones(2, 4)).nodes].count("foreign") == 1


def test_a_buffer_that_is_written_is_kept_as_a_foreign_write() -> None:
    writes = [node for node in graph_of(Cache(), torch.ones(2, 4)).nodes if node.op == "foreign"]
    assert len(writes) == 1
    assert "seen" in writes[0].inputs


def test_symbolic_sizes_are_taken_by_their_hint() -> None:
    batch = Dim("batch", min=2)
    program = torch.export.export(Heads().eval(), (torch.ones(3, 5, 12),), dynamic_shapes=({0: batch},))
    module = export(program)
    graph = capture(module)
    verify_graph(graph)
    assert graph.values["x"].shape == (3, 5, 12)
    assert (3, 5, 3, 4, 4) in [node.attrs.get("shape") for node in graph.nodes]
    values = evaluate(graph, feeds(module, torch.ones(3, 5, 12)))
    assert values[graph.outputs[0]].shape == (3, 5, 12)


def test_names_of_values_and_params_never_meet() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add = nn.Parameter(torch.ones(3))
            self.x = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + self.add) * self.x

    graph = graph_of(Named(), torch.ones(2, 3))
    assert {"add", "x"} <= set(graph.params)
    assert not set(graph.params) & set(graph.values)


def attention(**options: int) -> nn.MultiheadAttention:
    return nn.MultiheadAttention(8, 2, batch_first=True, **options)


def test_multi_head_attention_ties_its_width_to_its_heads_in_module_form() -> None:
    x = torch.randn(2, 3, 8)
    graph = graph_of(attention(), (x, x, x), form="module")
    assert [(tie.left, tie.right) for tie in graph.ties] == [(("in_proj_weight", 1), ("out_proj.weight", 1))]
    assert graph_of(attention(), (x, x, x)).ties == ()


def test_attention_with_separate_projections_has_one_head_size_for_queries_and_values() -> None:
    x, other = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    ties = graph_of(attention(kdim=6, vdim=6), (x, other, other), form="module").ties
    assert [(tie.left, tie.right) for tie in ties] == [
        (("q_proj_weight", 1), ("out_proj.weight", 1)),
        (("q_proj_weight", 0), ("v_proj_weight", 0)),
    ]
    assert all(
        (isinstance(tie, Tie) and "embed_dim" in tie.reason) or "head_dim" in tie.reason for tie in ties
    )


def test_capture_is_the_same_every_time() -> None:
    x = torch.randn(2, 5, 12)
    first, second = (graph_of(Heads(), x) for _ in range(2))
    assert first.nodes == second.nodes
    assert list(first.params) == list(second.params)
