"""Executors in numpy: from any values to any others, masked, with other params, freed, with any number of samples."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from prunepass.ir import (
    Array,
    Graph,
    NumpyExecutor,
    PrunepassError,
    UnsupportedError,
    UsageError,
    evaluate,
    kept_of,
    leaves,
    masked,
    registry,
    rule_of,
)
from prunepass.passes import couple
from prunepass.passes.proof import masked_values
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import Network, build, random_networks

NETWORKS = random_networks(0, 60)


def frontier(graph: Graph, at: int) -> frozenset[str]:
    """What the nodes from ``at`` on read of what is made before."""
    made = {*graph.inputs, *(name for node in graph.nodes[:at] for name in node.outputs)}
    return frozenset(name for node in graph.nodes[at:] for name in node.inputs if name in made)


@pytest.mark.parametrize("network", NETWORKS[::2], ids=range(30))
def test_from_a_frontier_come_the_same_values_as_from_the_inputs(network: Network) -> None:
    graph = network.graph
    values = evaluate(graph, inputs_for(graph, 0))
    for at in Random(0).sample(range(len(graph.nodes)), min(3, len(graph.nodes))):
        later = [name for node in graph.nodes[at:] for name in node.outputs if name]
        given = {name: values[name] for name in frontier(graph, at)}
        got = dict(NumpyExecutor(graph, "float64").walk(given, wanted=later))
        assert set(got) == set(later)
        for name in later:
            np.testing.assert_array_equal(got[name], values[name])


def test_only_what_is_wanted_is_run() -> None:
    def fail(*_: Array | None) -> tuple[Array, ...]:
        raise AssertionError

    net = Builder()
    x = net.input(2, 3)
    y = net.add("relu", x)
    z = net.add_foreign("custom::fail", y, result=(2, 3), evaluate=fail)
    graph = net.graph(net.add("add", z, y))
    executor = NumpyExecutor(graph)
    assert [name for name, _ in executor.walk({x: np.ones((2, 3))}, wanted=[y])] == [y]
    assert dict(executor.walk({z: np.ones((2, 3)), y: np.ones((2, 3))}, wanted=graph.outputs))
    assert not list(executor.walk({x: np.ones((2, 3))}, wanted=[]))


def test_given_values_and_params_can_be_wanted_too() -> None:
    graph = chain()
    wanted = ["x0", "a.weight", "relu"]
    got = dict(NumpyExecutor(graph).walk(inputs_for(graph, 0), wanted=wanted))
    assert list(got) == wanted
    np.testing.assert_array_equal(got["a.weight"], graph.params["a.weight"].read())


def reads_of(graph: Graph, kept: Mapping[object, object]) -> dict[tuple[str, int], Array]:
    """A mask for every read that is summed over a cut dim."""
    coupling = couple(graph)
    found: dict[tuple[str, int], Array] = {}
    for node in graph.nodes:
        rule = rule_of(graph, node)
        summed = {
            leaf: coupling_kept
            for dim in rule.contracted
            for leaf in leaves(coupling.norm(dim))
            if (coupling_kept := kept.get(leaf)) is not None
        }
        for position, dims in enumerate(rule.operands):
            if dims is not None and summed:
                index = kept_of(dims, coupling.norm, summed)  # type: ignore[arg-type]
                if any(keep is not None for keep in index):
                    found[node.name, position] = masked(np.ones([dim.size for dim in dims]), index)
    return found


def test_masks_in_front_of_reads_are_the_masked_evaluation() -> None:
    compared = 0
    for seed, network in enumerate(NETWORKS):
        graph = network.graph
        coupling = couple(graph)
        plan = random_cut(coupling, seed)
        kept = plan.kept(coupling)
        if any(
            leaf in kept
            for node in graph.nodes
            for dim in rule_of(graph, node).statistics
            for leaf in leaves(coupling.norm(dim))
        ):
            continue
        feeds = inputs_for(graph, seed)
        want = dict(masked_values(graph, plan, feeds))
        masks = reads_of(graph, kept)  # type: ignore[arg-type]
        got = dict(NumpyExecutor(graph, "float64").walk(feeds, wanted=graph.values, masks=masks))
        for name, array in want.items():
            np.testing.assert_array_equal(got[name], array)
        compared += bool(masks)
    assert compared > 10


def test_what_is_masked_is_gone_even_where_it_is_infinite() -> None:
    net = Builder()
    graph = net.graph(net.linear(net.input(1, 2), 3, path="head"))
    mask = {("head", 0): np.array([0.0, 1.0])}
    ((_, got),) = NumpyExecutor(graph).walk({"x0": np.array([[np.inf, 1.0]])}, wanted=["head"], masks=mask)
    assert np.isfinite(got).all()


def test_replaced_params_are_read_and_those_of_the_graph_stay() -> None:
    graph = chain()
    zero = {"b.weight": np.zeros((2, 8, 1, 1)), "b.bias": np.full(2, 3.0)}
    ((_, got),) = NumpyExecutor(graph).walk(inputs_for(graph, 0), wanted=["b"], params=zero)
    np.testing.assert_array_equal(got, np.full((2, 2, 4, 4), 3.0, np.float32))
    assert np.any(graph.params["b.weight"].read())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_floats_are_of_one_type(dtype: str) -> None:
    for network in NETWORKS[:20]:
        executor = NumpyExecutor(network.graph, dtype)
        for name, array in executor.walk(inputs_for(network.graph, 0), wanted=network.graph.values):
            assert array.dtype.kind != "f" or array.dtype.name == dtype, name


class Watched:
    """A chain of operators of a host that count which of their operands are still alive."""

    def __init__(self, length: int) -> None:
        self.seen: list[weakref.ref[Array]] = []
        self.alive: list[int] = []
        net = Builder()
        x = net.input(2, 3)
        for _ in range(length):
            x = net.add_foreign("custom::count", x, result=(2, 3), evaluate=self.count)
        self.graph = net.graph(x)

    def count(self, *arrays: Array | None) -> tuple[Array, ...]:
        (array,) = arrays
        assert array is not None
        self.seen.append(weakref.ref(array))
        self.alive.append(sum(one() is not None for one in self.seen))
        return (array + 1,)


@pytest.mark.parametrize("every", [True, False])
def test_values_are_freed_after_their_last_reader(every: bool) -> None:
    watched = Watched(8)
    wanted = [name for name in watched.graph.values if name != "x0"] if every else watched.graph.outputs
    for _ in NumpyExecutor(watched.graph).walk({"x0": np.zeros((2, 3), np.float32)}, wanted=wanted):
        pass
    # The input is the caller's for as long as the call lasts; what is yielded last is still in the loop's hands.
    assert max(watched.alive) <= 2 + every


def test_given_values_are_freed_too() -> None:
    watched = Watched(3)

    def given() -> Iterator[Array]:
        yield np.zeros((2, 3), np.float32)

    walk = NumpyExecutor(watched.graph).walk({"x0": next(given())}, wanted=watched.graph.outputs)
    list(walk)
    assert watched.seen[0]() is None
    assert watched.alive == [1, 1, 1]


def alike(small: Graph, large: Graph) -> bool:
    """Whether the two have the same params, constants repeated sample by sample."""
    if small.params.keys() != large.params.keys():
        return False
    for name, param in small.params.items():
        one, other = param.read(), large.params[name].read()
        axes = [at for at, (a, b) in enumerate(zip(one.shape, other.shape, strict=True)) if a != b]
        for axis in axes:
            one = np.take(one, np.arange(other.shape[axis]) % one.shape[axis], axis)
        if not np.array_equal(one, other):
            return False
    return True


@pytest.mark.parametrize("batch", [1, 2])
def test_any_number_of_samples_gives_what_a_capture_with_as_many_gives(batch: int) -> None:
    """Networks built again with another batch are the truth."""
    ways: Counter[str] = Counter()
    for network in random_networks(1000, 120):
        small, large = (build(replace(network.recipe, batch=size)) for size in (batch, 5))
        graph, truth = small.graph, large.graph
        drawn = any(registry()[node.op].random(node.attrs) for node in graph.nodes)
        if drawn or small.used != large.used or not alike(graph, truth):
            continue
        feeds, executor = inputs_for(truth, 0), NumpyExecutor(graph, "float64")
        try:
            got = dict(executor.walk(feeds, wanted=graph.values))
        except UnsupportedError:  # samples are read together
            continue
        want = evaluate(truth, feeds)
        for name, array in want.items():
            np.testing.assert_allclose(got[name], array, 1e-9, 1e-9, err_msg=f"{network.recipe} {name}")
        ways[type(executor.fitting(executor.checked(feeds, graph.outputs))).__name__] += 1
    assert ways["NumpyExecutor"] > 30 and ways["Slices"] > 3, ways


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_what_no_rule_follows_is_run_in_slices(count: int) -> None:
    net = Builder()
    x = net.input(2, 3)
    y = net.add_foreign(
        "custom::rank", x, result=(2, 3), evaluate=lambda a: (np.asarray(a) + np.arange(2)[:, None],)
    )
    graph = net.graph(net.linear(y, 4, path="head"))
    data = np.random.default_rng(0).standard_normal((count, 3))
    got = dict(NumpyExecutor(graph, "float64").walk({x: data}, wanted=[y, "head"]))
    np.testing.assert_array_equal(got[y], data + (np.arange(count) % 2)[:, None])
    again = dict(NumpyExecutor(graph, "float64").walk({y: got[y]}, wanted=["head"]))
    np.testing.assert_allclose(again["head"], got["head"])


def test_a_value_whose_samples_lie_nobody_knows_where_is_refused() -> None:
    net = Builder()
    x = net.input(2, 3)
    y = net.add_foreign("custom::sum", x, result=(3,), evaluate=lambda a: (np.sum(np.asarray(a), 0),))
    graph = net.graph(net.add("relu", y))
    with pytest.raises(UnsupportedError, match="along which axis of 'relu_1' samples lie is not known"):
        NumpyExecutor(graph).walk({x: np.zeros((4, 3))}, wanted=graph.outputs)


def test_samples_that_are_not_outermost_are_not_joined() -> None:
    """Rows of two axes merged, samples inside: slices one after the other would be another order."""
    net = Builder()
    x = net.input(2, 3, 4)
    merged = net.add("reshape", net.add("permute", x, order=(1, 0, 2)), shape=(6, 4))
    y = net.add_foreign("custom::same", merged, result=(6, 4), evaluate=lambda a: (np.asarray(a),))
    graph = net.graph(y)
    data = np.random.default_rng(0).standard_normal((4, 3, 4))
    with pytest.raises(UnsupportedError, match="along which axis of 'foreign_2' samples lie is not known"):
        NumpyExecutor(graph).walk({x: data}, wanted=[y])
    assert dict(NumpyExecutor(graph).walk({x: data}, wanted=["permute_0"]))["permute_0"].shape == (3, 4, 4)


def test_samples_that_are_read_together_are_as_many_as_at_capture() -> None:
    net = Builder()
    x = net.input(2, 3)
    mean = net.add("mean", x, axes=(0,), keepdims=True)
    graph = net.graph(net.add("subtract", x, mean))
    with pytest.raises(UnsupportedError, match="'mean' reads samples together"):
        NumpyExecutor(graph).walk({x: np.zeros((4, 3))}, wanted=graph.outputs)
    assert dict(NumpyExecutor(graph).walk({x: np.zeros((2, 3))}, wanted=graph.outputs))


@pytest.mark.parametrize(
    ("given", "options", "what"),
    [
        ({}, {}, "input 'x0' is missing"),
        ({"x0": (2, 3, 4, 4), "y": (1,)}, {}, "'y' is given and is no value"),
        ({"x0": (2, 3, 4, 4)}, {"wanted": ["y"]}, "'y' is wanted and is no value"),
        ({"x0": (2, 3, 5, 4)}, {}, r"input 'x0' has shape \(2, 3, 5, 4\), the model reads \(2, 3, 4, 4\)"),
        ({"x0": (2, 3, 4)}, {}, r"input 'x0' has shape \(2, 3, 4\)"),
        ({"x0": (0, 3, 4, 4)}, {}, r"input 'x0' has shape \(0, 3, 4, 4\)"),
        (
            {"stem": (4, 8, 4, 4), "x0": (3, 3, 4, 4)},
            {"wanted": ["x0", "head"]},
            "different numbers of samples",
        ),
        ({"x0": (2, 3, 4, 4)}, {"params": {"w": (1,)}}, "there is no param 'w'"),
        ({"x0": (2, 3, 4, 4)}, {"params": {"head.bias": (4,)}}, r"'head.bias' has shape \(5,\)"),
        ({"x0": (2, 3, 4, 4)}, {"masks": {("head", 7): (1,)}}, "there is no operand 7 of a node 'head'"),
        ({"x0": (2, 3, 4, 4)}, {"masks": {("tail", 0): (1,)}}, "of a node 'tail'"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_run(
    given: dict[str, tuple[int, ...]], options: dict[str, object], what: str
) -> None:
    graph = residual()
    wanted = options.get("wanted", graph.outputs)
    params, masks = (
        {name: np.zeros(shape) for name, shape in dict(options.get(kind, {})).items()}  # type: ignore[call-overload]
        for kind in ("params", "masks")
    )
    arrays = {name: np.zeros(shape) for name, shape in given.items()}
    with pytest.raises(UsageError, match=what):
        NumpyExecutor(graph).walk(arrays, wanted=wanted, params=params, masks=masks)  # type: ignore[arg-type]


def test_there_are_two_types_and_no_gradients() -> None:
    with pytest.raises(UsageError, match="not in 'float16'"):
        NumpyExecutor(chain(), "float16")
    with pytest.raises(PrunepassError, match="gradients are computed by torch alone"):
        NumpyExecutor(chain()).gradients({}, wanted=[], loss=lambda _: 0)
