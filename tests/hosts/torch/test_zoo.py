"""Real architectures through the torch host: captured, cut at random, replayed in both forms."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from prunepass.hosts.torch import capture, export
from prunepass.ir import verify_graph
from tests.hosts.torch.trials import assert_computes, count, cut_graph, cut_module, double
from tests.zoo.catalog import ZOO

LARGE = {"cifar_resnet101"}
# Share of parameters that stays when about half of every group's channels go, with some room.
STAYS_IN_MODULE_FORM = {
    "grouped_query": 0.6,
    "grouped_query_strided": 0.6,
    "crossing": 0.7,
    "channel_shuffle": 0.8,
}


@pytest.fixture(scope="module", params=sorted(set(ZOO) - LARGE))
def sample(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Any]:
    return (request.param, *double(ZOO[request.param]()))


def test_the_graph_computes_what_the_module_computes(sample: tuple[str, nn.Module, Any]) -> None:
    _, model, inputs = sample
    module = export(model, inputs)
    graph = capture(module)
    verify_graph(graph)
    assert all(node.op != "foreign" for node in graph.nodes)
    assert_computes(model, inputs, graph, module)


def test_the_module_follows_a_cut(sample: tuple[str, nn.Module, Any]) -> None:
    name, model, inputs = sample
    small, after, _ = cut_module(model, inputs)
    assert type(small) is type(model)
    assert list(small.state_dict()) == list(model.state_dict())
    assert count(small) < STAYS_IN_MODULE_FORM.get(name, 0.55) * count(model)
    assert_computes(small, inputs, after)


def test_the_graph_module_follows_a_cut(sample: tuple[str, nn.Module, Any]) -> None:
    _, model, inputs = sample
    small, after = cut_graph(model, inputs)
    assert count(small) < 0.55 * count(model)
    assert_computes(small, inputs, after, export(model, inputs))
