"""What a graph costs, and that narrowing it on paper gives the cost of the narrowed graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prunepass.passes import CostModel, couple, cut, graph_cost
from tests.graphs import Builder, chain, residual
from tests.passes.legal import random_cut
from tests.passes.networks import random_networks


def test_costs_of_a_cut_network_are_those_that_were_foreseen() -> None:
    for seed, network in enumerate(random_networks(20_000, 400)):
        coupling = couple(network.graph)
        plan, model = random_cut(coupling, seed), CostModel(coupling)
        for leaf, index in plan.kept(coupling).items():
            model.set_width(leaf, len(index) + 1)
            model.set_width(leaf, len(index))
        real = graph_cost(cut(network.graph, plan))
        for kind in ("macs", "params", "size"):
            assert model.totals[kind] == real[kind], f"{network.recipe}: {kind}"


def test_macs_count_products_and_params_count_trained_entries() -> None:
    graph = chain(8, batch=2, size=4)
    cost = graph_cost(graph)
    pixels = 2 * 4 * 4
    assert cost.macs == pixels * (8 * 3 * 3 * 3 + 2 * 8)
    assert cost.params == 8 * 3 * 9 + 8 + 4 * 8 + 2 * 8 + 2
    assert cost.size == 4 * cost.params
    assert cost.channels == 8


def test_grouped_and_transposed_convolutions_count_what_they_multiply() -> None:
    net = Builder()
    x = net.input(1, 8, 4, 4)
    x = net.conv(x, 12, 3, padding=1, groups=4)
    x = net.conv(x, 6, 2, transposed=True, stride=2)
    assert graph_cost(net.graph(x)).macs == 16 * 12 * 2 * 9 + 16 * 12 * 6 * 4


def test_constants_and_what_is_computed_from_params_alone_cost_nothing() -> None:
    net = Builder()
    weight = net.add("matmul", net.weight(4, 6), net.weight(6, 3))
    table = net.constant(np.ones((4, 4), np.float32))
    x = net.add("matmul", net.input(2, 4), table)
    cost = graph_cost(net.graph(net.add("matmul", x, weight)))
    assert cost.macs == 2 * 4 * 4 + 2 * 4 * 3
    assert cost.params == 4 * 6 + 6 * 3


def test_narrowing_a_group_and_back_restores_every_total() -> None:
    coupling = couple(chain(8))
    model = CostModel(coupling)
    before = dict(model.totals)
    (group,) = coupling.prunable
    assert group.atom is not None
    model.set_width(group.atom, 3)
    assert all(model.totals[kind] < before[kind] for kind in before)
    model.set_width(group.atom, 8)
    assert model.totals == before


def test_the_saving_of_a_channel_is_its_share_and_changes_nothing() -> None:
    coupling = couple(chain(8))
    model = CostModel(coupling)
    before = dict(model.totals)
    (group,) = coupling.prunable
    assert group.atom is not None
    assert model.saving(group.atom) == before["macs"] / 8
    assert model.totals == before


def test_layers_that_no_output_needs_count_params_and_no_work() -> None:
    graph = residual()
    alone, early = graph_cost(graph), graph_cost(replace(graph, outputs=("one.a",)))
    assert early.params == alone.params
    assert early.macs < alone.macs
