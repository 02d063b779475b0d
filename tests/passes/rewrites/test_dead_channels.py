"""What weights of zero show: channels that carry nothing but a constant go first, alone, and without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import prunepass as pp
from prunepass.ir import Array, Graph, Param, UsageError, evaluate
from prunepass.passes import Budget, Pipeline, Plan, Select, couple, cut, prove
from prunepass.passes._plan import plan_for
from prunepass.passes.analyses._constants import Constant, constants
from prunepass.passes.rewrites._compensate import compensate
from prunepass.passes.rewrites._dead import dead_channels, dead_first
from tests.graphs import Builder
from tests.passes.legal import inputs_for
from tests.passes.networks import random_networks

DEAD = (1, 4, 5)
NETWORKS = 120
# Sums of a few hundred products whose order changes, and of values up to some hundred times the output.
EQUAL = 1e-9


def silenced(graph: Graph, zero: dict[str, tuple[int, ...]]) -> Graph:
    """The graph in float64 with slices of weights set to zero, along their first axis."""
    return replace(graph, params={name: _wide(p, zero.get(name, ())) for name, p in graph.params.items()})


def _wide(param: Param, rows: tuple[int, ...] | Array, axis: int = 0) -> Param:
    if not (param.trained and param.is_float):
        return param
    data = param.read().astype(np.float64)
    np.moveaxis(data, axis, 0)[np.asarray(rows, dtype=np.int64)] = 0
    return replace(param, dtype="float64", source=lambda: data)


def outputs_change(graph: Graph, small: Graph, seed: int = 0) -> float:
    """Largest difference of an output, beside its own size."""
    feeds = inputs_for(graph, seed)
    before, after = evaluate(graph, feeds), evaluate(small, feeds)
    floats = [name for name in graph.outputs if before[name].dtype.kind == "f" and before[name].size]
    gaps = (np.abs(before[name] - after[name]) / (1 + np.abs(before[name]).max()) for name in floats)
    return max((float(np.max(gap)) for gap in gaps), default=0.0)


def planned(graph: Graph, **options: object) -> Plan:
    return Select(budget="dead", **options).plan(couple(graph), {})  # type: ignore[arg-type]


def removed(plan: Plan) -> dict[str, tuple[int, ...]]:
    return {name: one.remove for name, one in plan.cuts.items()}


def stack(between: str = "", *, padding: int = 0, bias: bool = True) -> Graph:
    """conv a -> (what is between) -> relu -> conv b -> relu -> mean over positions -> linear."""
    net = Builder()
    x = net.conv(net.input(2, 3, 7, 7), 8, 3, path="a", bias=bias)
    if between == "batch_norm":
        x = net.batch_norm(x, path="bn")
    elif between == "depthwise":
        x = net.conv(x, 8, 3, path="d", groups=8, padding=1, bias=False)
    elif between == "residual":
        x = net.add("add", x, net.conv(net.add("sigmoid", x), 8, path="r"))
    elif between == "concat":
        x = net.add("concat", x, net.add("tanh", x), axis=1)
    elif between == "gate":
        pooled = net.add("mean", net.add("relu", x), axes=(2, 3), keepdims=True)
        x = net.add("multiply", net.add("relu", x), net.add("sigmoid", net.conv(pooled, 8, path="se")))
    x = net.add("relu", net.conv(net.add("relu", x), 4, 3, path="b", padding=padding))
    return net.graph(net.linear(net.add("mean", x, axes=(2, 3), keepdims=False), 5, path="c"))


@pytest.mark.parametrize(
    ("between", "zero"),
    [
        ("", ("a.weight",)),
        ("batch_norm", ("a.weight",)),
        ("batch_norm", ("bn.weight",)),
        ("depthwise", ("a.weight", "a.bias")),
        ("depthwise", ("d.weight",)),
        ("residual", ("a.weight", "r.weight")),
        ("concat", ("a.weight",)),
        ("gate", ("a.weight", "a.bias")),
    ],
)
def test_dead_channels_and_no_others_go_and_outputs_stay(between: str, zero: tuple[str, ...]) -> None:
    graph = silenced(stack(between), dict.fromkeys(zero, DEAD))
    plan = planned(graph)
    assert removed(plan) == {"a": DEAD}
    small = cut(graph, plan)
    assert outputs_change(graph, small) < EQUAL
    prove(graph, small, plan)
    assert not planned(small).cuts, "nothing dead is left"


def test_what_is_alive_stays_and_the_graph_is_the_same_object() -> None:
    graph = silenced(stack("batch_norm"), {})
    plan = planned(graph)
    assert not plan.cuts and not plan.shifts and cut(graph, plan) is graph


def test_a_constant_at_a_padded_border_is_taken_up_on_average_and_said_not_to_be_exact() -> None:
    graph = silenced(stack(padding=1), {"a.weight": DEAD})
    graph.params["a.bias"].read()[list(DEAD)] = (0.0, 0.5, -1.0)
    assert removed(planned(graph)) == {"a": (1, 5)}, "0.5 passes the activation, 0 and -1 become 0"
    coupling = couple(graph)
    whole = compensate(coupling, plan_for(coupling, {"a": np.array(DEAD)}))
    assert whole.repaired == ("b.bias",)
    assert "on average only" in whole.unrepaired["b"] and "border" in whole.unrepaired["b"]
    np.testing.assert_array_equal(whole.inexact["a"], [4])


def test_a_constant_that_finds_no_bias_is_no_dead_channel() -> None:
    net = Builder()
    x = net.add("relu", net.conv(net.input(2, 3, 5, 5), 8, path="a"))
    x = net.add("sigmoid", net.conv(x, 4, path="b", bias=False))
    graph = silenced(net.graph(net.conv(x, 2, path="c")), {"a.weight": DEAD})
    graph.params["a.bias"].read()[list(DEAD)] = (0.5, 0.5, -1.0)
    assert removed(planned(graph)) == {"a": (5,)}
    coupling = couple(graph)
    whole = compensate(coupling, plan_for(coupling, {"a": np.array(DEAD)}))
    assert "nowhere to put it" in whole.unrepaired["b"] and not whole.repaired


def test_what_only_dead_channels_read_is_dead() -> None:
    """The last layer has no weight for some channels of ``b``; those alone read some channels of ``a``."""
    net = Builder()
    x = net.add("relu", net.linear(net.input(2, 3), 8, path="a"))
    x = net.add("tanh", net.linear(x, 6, path="b"))
    graph = silenced(net.graph(net.linear(x, 4, path="c")), {})
    graph.params["c.weight"].read()[:, [0, 3]] = 0
    rows = np.setdiff1d(np.arange(6), [0, 3])
    graph.params["b.weight"].read()[np.ix_(rows, [2, 7])] = 0
    plan = planned(graph)
    assert removed(plan) == {"a": (2, 7), "b": (0, 3)}
    assert outputs_change(graph, cut(graph, plan)) < EQUAL
    assert {name: tuple(i) for name, i in dead_channels(couple(graph)).items()} == removed(plan)


def test_whole_multiples_go_where_they_are_asked_for() -> None:
    graph = silenced(stack(), {"a.weight": DEAD})
    assert removed(planned(graph, align=2)) == {"a": (1, 4)}
    assert not planned(graph, align=8).cuts
    assert not planned(graph, floor=1.0).cuts


def test_any_score_gives_dead_channels_the_least() -> None:
    graph = silenced(stack("batch_norm"), {"bn.weight": DEAD})
    coupling = couple(graph)
    task = pp.task_of([inputs_for(graph)])
    for metric in set(pp.passes.scores.names()) - {"taylor"}:  # no gradients here
        line = (
            f"couple | score{{metric={metric}}} | select{{budget=channels:0.75}} | compensate | cut | verify"
        )
        state = Pipeline.parse(line)(graph, task=task)
        assert state.plan is not None and removed(state.plan) == {"a": DEAD}, metric
        assert outputs_change(graph, state.graph) < EQUAL
    low = {g.name: np.linspace(-3, -1, g.size) for g in coupling.prunable}
    found = dead_first(coupling, low)
    assert max(found["a"][list(DEAD)]) < -3 and np.array_equal(found["b"], low["b"])


@pytest.mark.parametrize("text", ["dead=0.5", "dead,macs=0.5", "macs=0.5,dead", "dead:1"])
def test_the_budget_goes_alone(text: str) -> None:
    assert Budget.parse(" dead ").dead and str(Budget.parse("dead")) == "dead"
    with pytest.raises(UsageError, match="takes no fraction"):
        Budget.parse(text)


def test_options_that_mean_nothing_beside_it_are_refused() -> None:
    with pytest.raises(UsageError, match="has no meaning"):
        Select(budget="dead", mode="uniform")
    with pytest.raises(UsageError, match="has no meaning"):
        Select(budget="dead", ratios={"a": 0.5})


def test_a_flat_activation_makes_no_constant() -> None:
    """What saturates on every input that was tried may still be alive."""
    net = Builder()
    x = net.add("clip", net.conv(net.input(2, 3, 5, 5), 8, path="a"), net.constant(-50.0), net.constant(50.0))
    graph = silenced(net.graph(net.conv(x, 2, path="b")), {"a.weight": DEAD})
    known = constants(couple(graph))["clip_1"].known
    np.testing.assert_array_equal(np.flatnonzero(known.ravel()), DEAD)


def dead_networks() -> Iterator[tuple[int, Graph]]:
    """Random networks over all operators, with random rows, columns and gains of zero."""
    for seed, network in enumerate(random_networks(50_000, NETWORKS)):
        rng, params = np.random.default_rng(seed), {}
        for name, param in network.graph.params.items():
            axis = int(rng.random() < 0.2 and len(param.shape) > 1)
            share = 0.4 if len(param.shape) > 1 else 0.2
            rows = np.flatnonzero(rng.random(param.shape[axis]) < share) if param.shape else np.zeros(0)
            params[name] = _wide(param, rows if rng.random() < 0.6 else (), axis)
        yield seed, replace(network.graph, params=params)


def finite(graph: Graph, seed: int) -> bool:
    """Whether the network makes numbers at all: with variances of zero it may not."""
    try:
        made = evaluate(graph, inputs_for(graph, seed))
    except pp.UnsupportedError:
        return False
    return all(np.all(np.isfinite(made[name])) for name in graph.outputs)


def test_in_any_network_what_is_dead_goes_without_a_trace() -> None:
    went = 0
    for seed, graph in dead_networks():
        if not finite(graph, seed):
            continue
        plan = planned(graph)
        small = cut(graph, plan)
        assert outputs_change(graph, small, seed) < EQUAL, seed
        assert not plan.cuts or not planned(small).cuts, seed
        went += sum(len(one.remove) for one in plan.cuts.values())
    assert went > NETWORKS


def test_in_any_network_what_counts_as_constant_is_the_same_for_every_input() -> None:
    for seed, graph in list(dead_networks())[: NETWORKS // 2]:
        if not finite(graph, seed):
            continue
        found = constants(couple(graph))
        for other in (seed, seed + 1):
            made = evaluate(graph, inputs_for(graph, other))
            for name, constant in found.items():
                assert agrees(made[name], constant), (seed, name)


def agrees(array: Array, constant: Constant) -> bool:
    want = np.broadcast_to(constant.amount, array.shape)
    known = np.broadcast_to(constant.known, array.shape)
    return bool(np.allclose(array[known], want[known], rtol=1e-9, atol=1e-9))
