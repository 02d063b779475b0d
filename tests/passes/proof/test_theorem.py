"""The theorem: a cut network computes what the original computes with the cut channels masked.

Thousands of random networks over all operator families, each with a random legal cut of every prunable group,
compared at every value in float64.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Atom, Graph, Index, Param, evaluate, kept_index, registry, verify_graph
from prunepass.passes import Coupling, couple, cut, prove, relative_error
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import Network, random_graphs, random_networks
from tests.passes.productions import TABLE

SHARDS, PER_SHARD = 8, 400
# Sums of a few hundred products, in another order: some hundred roundings of 1.1e-16.
TOLERANCE = 1e-11
# Their results are numbers that count a shape; how networks read them is tested with the coupling.
# Codes round, which bounds do not know of: test_codes.py puts them between the operators of these networks.
NOT_IN_NETWORKS = {"size", "quantize", "dequantize"}


@cache
def shard(number: int) -> tuple[Network, ...]:
    return random_networks(number * PER_SHARD, PER_SHARD)


@pytest.mark.parametrize("number", range(SHARDS))
def test_every_value_of_a_cut_network_equals_that_of_the_masked_one(number: int) -> None:
    for seed, network in enumerate(shard(number)):
        hold(network, seed)


def hold(network: Network, seed: int) -> None:
    """The theorem for one network and one cut; the recipe is named where it fails."""
    graph = network.graph
    try:
        verify_graph(graph)
        plan = random_cut(couple(graph), seed)
        small = cut(graph, plan)
        verify_graph(small)
        proof = prove(graph, small, plan, inputs_for(graph, seed), tolerance=TOLERANCE)
        assert proof.values == len(graph.values)
    except Exception as error:
        raise AssertionError(f"{network.recipe}: {error}") from error


@given(random_graphs())
@settings(max_examples=100)
def test_the_theorem_holds_for_shrinkable_networks(network: Network) -> None:
    hold(network, 0)


def test_every_production_occurs_and_most_networks_can_be_pruned() -> None:
    networks = [network for number in range(SHARDS) for network in shard(number)]
    assert len(networks) >= 2000
    prunable = [network for network in networks if couple(network.graph).prunable]
    assert len(prunable) >= 0.7 * len(networks)
    for some in (networks, prunable):
        used = Counter(name for network in some for name in set(network.used))
        assert set(used) == set(TABLE)
        assert min(used.values()) >= 8, used.most_common()[-5:]


def test_every_operator_occurs() -> None:
    networks = (network for number in range(SHARDS) for network in shard(number))
    seen = {node.op for network in networks for node in network.graph.nodes}
    assert set(registry().ops) - seen <= NOT_IN_NETWORKS


def test_values_of_random_networks_are_finite_and_most_outputs_vary() -> None:
    """Infinite or constant values would make every comparison hold."""
    varied, networks = 0, shard(0)[::2]
    for network in networks:
        values = evaluate(network.graph, inputs_for(network.graph))
        for name, array in values.items():
            assert np.all(np.isfinite(array)), f"{network.recipe}: {name}"
        varied += all(np.ptp(values[name]) > 0 for name in network.graph.outputs)
    assert varied > 0.9 * len(networks)


def test_removing_channels_equals_zeroing_the_weights_that_read_them() -> None:
    """Where only weights sum over a group, zeros in their columns do what the cut does, without any mask."""
    compared = 0
    for number in range(2):
        for seed, network in enumerate(shard(number)):
            graph, coupling = network.graph, couple(network.graph)
            if coupling.prunable and _read_by_weights_alone(graph, coupling):
                _compare_outputs(network, seed)
                compared += 1
    assert compared > 100


def _read_by_weights_alone(graph: Graph, coupling: Coupling) -> bool:
    """Whether each node that sums over cut channels has its columns in a param that it alone reads."""
    for group in coupling.prunable:
        if group.inexact:
            return False
        summed = {member.node for member in group.members if member.role == "read"}
        columns = {member.node: member.tensor for member in group.members if member.role == "contracted"}
        single = all(len(graph.readers[name]) == 1 for name in columns.values() if name in graph.params)
        if not single or not summed <= columns.keys() or not set(columns.values()) <= graph.params.keys():
            return False
    return True


def _compare_outputs(network: Network, seed: int) -> None:
    graph, coupling = network.graph, couple(network.graph)
    plan = random_cut(coupling, seed)
    feeds = inputs_for(graph, seed)
    whole = evaluate(_with_zero_columns(coupling, plan.kept(coupling)), feeds)
    small = evaluate(cut(graph, plan), feeds)
    for name in graph.outputs:
        assert relative_error(small[name], whole[name]) < TOLERANCE, f"{network.recipe}: {name}"


def _with_zero_columns(coupling: Coupling, kept: dict[Atom, Index]) -> Graph:
    """The uncut graph with zeros in every column of a weight that reads a cut channel."""
    params = dict(coupling.graph.params)
    for group in coupling.prunable:
        for member in group.members:
            if member.role == "contracted":
                dim = coupling.dims[member.tensor][member.axis]
                gone = np.setdiff1d(np.arange(dim.size), kept_index(dim, kept))
                params[member.tensor] = _zeroed(params[member.tensor], member.axis, gone)
    return replace(coupling.graph, params=params)


def _zeroed(param: Param, axis: int, gone: Index) -> Param:
    data: Array = param.read().copy()
    data[(slice(None),) * axis + (gone,)] = 0
    return replace(param, source=lambda: data)
