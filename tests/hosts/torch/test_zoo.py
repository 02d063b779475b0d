"""Real architectures through the torch host: captured, cut at random, replayed in both forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from torch import fx, nn

from prunepass.hosts.torch import capture, export
from prunepass.ir import verify_graph
from tests.hosts.torch.trials import assert_computes, count, cut_graph, cut_module, double
from tests.zoo.catalog import ZOO

LARGE = {"cifar_resnet101"}
# Share of parameters that stays when about half of every group's channels go, with some room: what a module's
# own code ties together or divides by is cut less.
STAYS = {"grouped_query": 0.6, "grouped_query_strided": 0.6, "crossing": 0.7, "channel_shuffle": 0.8}


class Sample(NamedTuple):
    name: str
    model: nn.Module
    inputs: Any
    module: fx.GraphModule


@pytest.fixture(scope="module", params=sorted(set(ZOO) - LARGE))
def sample(request: pytest.FixtureRequest) -> Sample:
    model, inputs = double(ZOO[request.param]())
    return Sample(request.param, model, inputs, export(model, inputs))


def test_the_graph_computes_what_the_module_computes(sample: Sample) -> None:
    graph = capture(sample.module)
    verify_graph(graph)
    assert all(node.op != "foreign" for node in graph.nodes)
    assert_computes(sample.model, sample.inputs, graph, sample.module)


def test_the_module_follows_a_cut(sample: Sample) -> None:
    small, after, _ = cut_module(sample.model, sample.inputs, module=sample.module)
    assert type(small) is type(sample.model)
    assert list(small.state_dict()) == list(sample.model.state_dict())
    assert count(small) < STAYS.get(sample.name, 0.55) * count(sample.model)
    assert_computes(small, sample.inputs, after, sample.module)


def test_the_graph_module_follows_a_cut(sample: Sample) -> None:
    small, after = cut_graph(sample.model, sample.inputs, module=sample.module)
    assert count(small) < 0.55 * count(sample.model)
    assert_computes(small, sample.inputs, after, sample.module)
