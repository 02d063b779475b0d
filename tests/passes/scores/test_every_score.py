"""What every score must do, whatever it measures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Graph
from prunepass.passes import Coupling, Observed, couple, reads, scores
from prunepass.passes.analyses import places_of
from tests.graphs import Builder, residual
from tests.passes.networks import Network, random_graphs
from tests.passes.scores.test_dfpc_laws import changed, read

DATA_FREE = ("bn_scale", "dfpc", "l1", "l2", "variance")


def network() -> Graph:
    """Two groups with normalisations, one without, and a depthwise layer in between."""
    net = Builder(seed=3)
    x = net.add(
        "relu", net.batch_norm(net.conv(net.input(2, 3, 6, 6), 6, 3, path="a", padding=1), path="bn_a")
    )
    x = net.add("relu", net.batch_norm(net.conv(x, 6, 3, path="dw", groups=6, padding=1), path="bn_dw"))
    x = net.add("relu", net.conv(x, 5, path="b"))
    return net.graph(net.conv(x, 2, path="c"))


def judged(name: str, coupling: Coupling) -> Mapping[str, Array]:
    """What a score says; one that looks at activations is told made-up ones."""
    score = scores.get(name)()
    needs = scores.needs_of(score)
    if not needs:
        return score(coupling)
    places = {*places_of(coupling), *((r.spot, r.axis) for r in reads(coupling))}
    sizes = {place: r.dim.size for r in reads(coupling) for place in (r.place, (r.spot, r.axis), *r.others)}
    rng = np.random.default_rng(0)
    arrays = {
        (one, place): rng.uniform(0, 2, sizes[place]) for one in needs for place in sorted(places, key=str)
    }
    return scores.judged(score, coupling, Observed("data", arrays, reads(coupling), 1))


@pytest.mark.parametrize("name", scores.names())
def test_scores_are_finite_numbers_for_every_channel_of_every_prunable_group(name: str) -> None:
    for graph in (network(), residual()):
        coupling = couple(graph)
        found = judged(name, coupling)
        assert set(found) == {group.name for group in coupling.prunable}
        for group in coupling.prunable:
            assert found[group.name].shape == (group.size,)
            assert found[group.name].dtype == np.float64
            assert np.all(np.isfinite(found[group.name]))
            assert np.all(found[group.name] >= 0)


@given(random_graphs())
@settings(max_examples=60)
def test_no_network_of_any_operators_is_too_much(network: Network) -> None:
    coupling = couple(network.graph)
    for name in scores.names():
        found, score = judged(name, coupling), scores.get(name)()
        assert set(found) == {group.name for group in coupling.prunable}
        assert all(np.all(np.isfinite(values)) and np.all(values >= 0) for values in found.values()), name
        assert set(scores.explain(score, coupling)) <= set(found)


@pytest.mark.parametrize("name", scores.names())
def test_the_same_graph_gives_the_same_scores(name: str) -> None:
    first, second = (judged(name, couple(network())) for _ in range(2))
    for group, values in first.items():
        np.testing.assert_array_equal(second[group], values)


@pytest.mark.parametrize("name", DATA_FREE)
def test_renamed_channels_have_renamed_scores(name: str) -> None:
    graph, order = network(), np.array([3, 1, 0, 5, 2, 4])
    moved = {n: read(graph, n)[order] for n, p in graph.params.items() if p.shape[0] == 6}
    moved["b.weight"] = read(graph, "b.weight")[:, order]
    before, after = (scores.get(name)()(couple(g)) for g in (changed(graph, {}), changed(graph, moved)))
    np.testing.assert_allclose(after["a"], before["a"][order], rtol=0.02 if name == "variance" else 1e-12)
    np.testing.assert_allclose(after["b"], before["b"], rtol=0.02 if name == "variance" else 1e-12)


@pytest.mark.parametrize("name", DATA_FREE)
def test_a_dead_channel_has_the_least_score(name: str) -> None:
    graph = network()
    dead = {n: read(graph, n) for n, p in graph.params.items() if p.shape[0] == 6 and "running" not in n}
    dead["b.weight"] = read(graph, "b.weight")
    for array in dead.values():
        array[(slice(None), 2) if array is dead["b.weight"] else (2,)] = 0
    found = scores.get(name)()(couple(changed(graph, dead)))["a"]
    assert found[2] == 0 == found.min()
    assert np.count_nonzero(found) >= 4


@pytest.mark.parametrize("name", ["dfpc", "variance"])
def test_a_channel_without_statistics_that_nothing_makes_has_the_least_score(name: str) -> None:
    graph = network()
    dead = {"b.weight": read(graph, "b.weight"), "b.bias": read(graph, "b.bias")}
    for array in dead.values():
        array[1] = 0
    assert scores.get(name)()(couple(changed(graph, dead)))["b"][1] == 0


@pytest.mark.parametrize("name", ["bn_scale", "dfpc", "l1", "l2"])
def test_two_equal_channels_have_equal_scores(name: str) -> None:
    graph = network()
    twins = {n: read(graph, n) for n, p in graph.params.items() if p.shape[0] == 6}
    twins["b.weight"] = read(graph, "b.weight")
    for array in twins.values():
        if array is twins["b.weight"]:
            array[:, 4] = array[:, 1]
        else:
            array[4] = array[1]
    found = scores.get(name)()(couple(changed(graph, twins)))["a"]
    assert np.isclose(found[4], found[1], rtol=1e-12)
