"""What the saliency promises whatever the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunepass.ir import Array, Graph, UsageError, evaluate
from prunepass.passes import couple, plan_for, scores
from prunepass.passes.proof._proof import masked_values
from tests.graphs import Builder

seeds = st.integers(0, 2**32 - 1)
WIDTH = 4


def two_block(seed: int, *, shift: float = 1.0) -> Graph:
    """conv a and conv b meet in a sum that conv c and conv d read; ``shift`` scales what only adds."""
    net = Builder(seed=seed)
    x = net.input(1, 2, 5, 5)
    sides = [net.batch_norm(net.conv(x, WIDTH, 3, path=name, padding=1), path=f"bn_{name}") for name in "ab"]
    both = net.add("relu", net.add("add", *sides))
    outputs = [net.conv(both, 2, kernel, path=name, bias=False) for name, kernel in (("c", 1), ("d", 3))]
    adding = (".bias", "running_mean")
    return changed(
        net.graph(*outputs), {n: shift * p.read() for n, p in net.params.items() if n.endswith(adding)}
    )


def changed(graph: Graph, data: dict[str, Array], dtype: str = "float64") -> Graph:
    """``graph`` with other weights, held in float64 so that they are exact."""
    wide = {name: param.read().astype(np.float64) for name, param in graph.params.items()}
    wide.update({name: np.asarray(array, dtype=np.float64) for name, array in data.items()})
    params = {
        name: replace(param, dtype=dtype, source=lambda array=wide[name]: array)  # type: ignore[misc]
        for name, param in graph.params.items()
    }
    return replace(graph, params=params)


def score(graph: Graph, **options: object) -> Array:
    (found,) = scores.Dfpc(**options)(couple(graph)).values()  # type: ignore[arg-type]
    return found


def read(graph: Graph, name: str) -> Array:
    return graph.params[name].read().copy()


@given(seeds, st.floats(0.01, 100), st.integers(0, WIDTH - 1))
def test_moving_a_factor_from_producers_to_consumers_changes_nothing(seed: int, by: float, i: int) -> None:
    graph = two_block(seed)
    data = {f"{name}.weight": read(graph, f"{name}.weight") for name in "abcd"}
    for name in "ab":
        data[f"{name}.weight"][i] *= by
    for name in "cd":
        data[f"{name}.weight"][:, i] /= by
    np.testing.assert_allclose(score(changed(graph, data)), score(graph), rtol=1e-12)


@given(seeds, st.floats(0.01, 100))
def test_the_form_of_a_normalisation_changes_nothing(seed: int, by: float) -> None:
    graph = two_block(seed)
    nodes = tuple(replace(n, attrs={"eps": 0.0}) if n.op == "batch_norm" else n for n in graph.nodes)
    graph = replace(graph, nodes=nodes)
    data = {
        "bn_a.weight": by * read(graph, "bn_a.weight"),
        "bn_a.running_var": by**2 * read(graph, "bn_a.running_var"),
    }
    np.testing.assert_allclose(score(changed(graph, data)), score(graph), rtol=1e-12)


@given(seeds, st.permutations(range(WIDTH)))
def test_renaming_channels_renames_scores(seed: int, order: list[int]) -> None:
    graph = two_block(seed)
    data = {name: read(graph, name) for name in graph.params}
    moved = {
        n: a[:, order] if n[0] in "cd" and a.ndim > 1 else a[order]
        for n, a in data.items()
        if a.shape[0] == WIDTH or n[0] in "cd"
    }
    np.testing.assert_allclose(score(changed(graph, moved)), score(graph)[order], rtol=1e-12)


@given(seeds, st.sampled_from(("made", "scaled", "read")), st.integers(0, WIDTH - 1))
def test_zero_where_every_path_is_dead_and_then_removing_changes_nothing(seed: int, how: str, i: int) -> None:
    graph = two_block(seed, shift=0.0)
    names = {
        "made": ("a.weight", "b.weight"),
        "scaled": ("bn_a.weight", "bn_b.weight"),
        "read": ("c.weight", "d.weight"),
    }
    data = {name: read(graph, name) for name in names[how]}
    for array in data.values():
        array[(slice(None), i) if how == "read" else (i,)] = 0
    dead = changed(graph, data)
    found = score(dead)
    assert found[i] == 0
    assert np.all(np.delete(found, i) > 0)
    feeds = {"x0": np.random.default_rng(seed).standard_normal((1, 2, 5, 5))}
    (group,) = couple(dead).prunable
    whole, masked = (
        evaluate(dead, feeds),
        dict(masked_values(dead, plan_for(couple(dead), {group.name: np.array([i])}), feeds)),
    )
    for output in dead.outputs:
        np.testing.assert_allclose(masked[output], whole[output], atol=1e-12)


@given(seeds)
def test_one_living_path_is_enough(seed: int) -> None:
    graph = two_block(seed)
    data = {"a.weight": read(graph, "a.weight"), "c.weight": read(graph, "c.weight")}
    data["a.weight"][0], data["c.weight"][:, 0] = 0, 0
    assert score(changed(graph, data))[0] > 0


@given(seeds, st.sampled_from("abcd"), st.floats(1.0, 3.0))
def test_no_score_falls_when_a_weight_grows(seed: int, name: str, by: float) -> None:
    graph = two_block(seed)
    weight = read(graph, f"{name}.weight")
    weight.flat[np.random.default_rng(seed).integers(weight.size)] *= by
    assert np.all(score(changed(graph, {f"{name}.weight": weight})) >= score(graph) * (1 - 1e-12))


@given(seeds)
def test_scores_add_over_pairs_of_producer_and_consumer(seed: int) -> None:
    graph, total = two_block(seed), np.zeros(WIDTH)
    for maker, reader in (("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")):
        others = {f"{name}.weight" for name in "abcd"} - {f"{maker}.weight", f"{reader}.weight"}
        total += score(changed(graph, {name: 0 * read(graph, name) for name in others}))
    np.testing.assert_allclose(score(graph), total, rtol=1e-12)


def lost(graph: Graph, seed: int) -> Array:
    """1-norm of what the consumers lose with each channel, for inputs between -1 and 1."""
    coupling = couple(graph)
    (group,) = coupling.prunable
    feeds = {"x0": np.random.default_rng(seed).uniform(-1, 1, (1, 2, 5, 5))}
    whole, found = evaluate(graph, feeds), np.zeros(WIDTH)
    for i in range(WIDTH):
        masked = dict(masked_values(graph, plan_for(coupling, {group.name: np.array([i])}), feeds))
        found[i] = sum(np.abs(whole[name] - masked[name]).sum() for name in graph.outputs)
    return found


@given(seeds)
def test_the_score_bounds_what_consumers_lose_where_nothing_shifts(seed: int) -> None:
    graph = two_block(seed, shift=0.0)
    assert np.all(lost(graph, seed) <= score(graph) * (1 + 1e-9))


@given(seeds, st.floats(0.0, 20.0))
def test_with_shifts_it_bounds_whatever_is_added(seed: int, shift: float) -> None:
    graph = two_block(seed, shift=shift)
    assert np.all(lost(graph, seed) <= score(graph, include_shift=True) * (1 + 1e-9))


def test_without_shifts_it_is_no_bound_for_a_network_that_shifts() -> None:
    graph = two_block(0, shift=50.0)
    assert np.any(lost(graph, 0) > score(graph))


def test_normalised_scores_of_a_group_have_mean_one() -> None:
    found = score(two_block(0), normalize="mean")
    assert np.isclose(found.mean(), 1.0)
    np.testing.assert_allclose(found * score(two_block(0)).mean(), score(two_block(0)))


def test_an_unknown_way_to_normalise_is_refused() -> None:
    with pytest.raises(UsageError, match="normalize=max") as caught:
        scores.Dfpc(normalize="max")
    assert "none, mean" in caught.value.advice
