"""Weights that are computed from sums along cut channels: filters that stay keep their weights, or it is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prunepass import UnsupportedError
from prunepass.ir import Array, Graph, evaluate, kept_index
from prunepass.passes import Plan, couple, cut, left_inexact, plan_for, prove, random_inputs
from prunepass.passes.analyses import _refit
from prunepass.passes.rewrites._compensate import compensate
from tests.graphs import Builder

REMOVE = np.array([0, 3, 4])
OUT = 6
# Gains are stored in float32.
CLOSE = 1e-6

Make = Callable[[Builder, str, str], str]


def norm(net: Builder, v: str, p: float = 2.0) -> str:
    return net.add("norm", v, axes=(1, 2), keepdims=True, p=p, node=f"{v}.norm")


def gained(net: Builder, v: str, name: str) -> str:
    """Weight normalisation as torch writes it: ``v * (g / |v|)``."""
    gain = net.weight(OUT, 1, 1, low=0.5, high=2.0, name=f"{name}.g")
    return net.add("multiply", v, net.add("divide", gain, norm(net, v)), node=name)


def gained_behind(net: Builder, v: str, name: str) -> str:
    """The same as ``(v / |v|) * g``, by the sum of absolute values, the gain without its last axes."""
    gain = net.add("reshape", net.weight(OUT, low=0.5, high=2.0, name=f"{name}.g"), shape=(OUT, 1, 1))
    return net.add("multiply", net.add("divide", v, norm(net, v, 1.0)), gain, node=name)


def spelled_out(net: Builder, v: str, name: str) -> str:
    """The root of a sum of squares, no norm by name, and a gain that is divided by."""
    squares = net.add("sum", net.add("multiply", v, v), axes=(1, 2), keepdims=True)
    gain = net.weight(OUT, 1, 1, low=0.5, high=2.0, name=f"{name}.g")
    return net.add("divide", net.add("divide", v, net.add("sqrt", squares)), gain, node=name)


def by_one_number(net: Builder, v: str, name: str) -> str:
    """Spectral normalisation: the whole weight over ``u . (W v)``."""
    count = int(np.prod(net.shape(v)[1:]))
    flat = net.add("reshape", v, shape=(OUT, count))
    u, right = net.weight(OUT, low=0.2, name=f"{name}.u"), net.weight(count, low=0.2, name=f"{name}.v")
    return net.add("divide", v, net.add("matmul", u, net.add("matmul", flat, right)), node=name)


def in_two_parts(net: Builder, v: str, name: str) -> str:
    """Two normalised weights side by side."""
    half = (OUT // 2, *net.shape(v)[1:])
    parts = []
    for part in ("first", "second"):
        weight = net.weight(*half, name=f"{name}.{part}")
        gain = net.weight(OUT // 2, 1, 1, low=0.5, high=2.0, name=f"{name}.{part}.g")
        parts.append(net.add("multiply", weight, net.add("divide", gain, norm(net, weight))))
    return net.add("concat", *parts, axis=0, node=name)


def bare(net: Builder, v: str, name: str) -> str:
    """A norm without a gain: nothing can take it up."""
    return net.add("divide", v, norm(net, v), node=name)


def standardised(net: Builder, v: str, name: str) -> str:
    """What is subtracted changes too, so that no factor leads back."""
    mean = net.add("mean", v, axes=(1, 2), keepdims=True)
    gain = net.weight(OUT, 1, 1, low=0.5, high=2.0, name=f"{name}.g")
    centred = net.add("subtract", v, mean, alpha=1)
    return net.add("multiply", net.add("divide", centred, norm(net, v)), gain, node=name)


def network(make: Make, weight: Callable[[Builder], str] | None = None) -> Graph:
    """conv a -> relu -> a convolution whose weight ``w`` is computed -> relu -> linear."""
    net = Builder()
    x = net.add("relu", net.conv(net.input(2, 3, 9), 8, 3, path="a"))
    v = weight(net) if weight else net.weight(OUT, 8, 3, name="v")
    added = net.weight(OUT, name="b.bias")
    attrs = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1}
    x = net.add("relu", net.add("conv", x, make(net, v, "w"), added, node="b", path="b", **attrs))
    return net.graph(net.linear(net.add("mean", x, axes=(2,), keepdims=False), 3, path="c"))


def planned(graph: Graph, remove: Array = REMOVE) -> Plan:
    """All prunable groups cut, each by what it has of ``remove``."""
    coupling = couple(graph)
    return plan_for(coupling, {g.name: remove[remove < g.size - 1] for g in coupling.prunable})


def change(graph: Graph, plan: Plan, name: str = "w") -> float:
    """Largest change of an entry of a computed weight that stays."""
    coupling, feeds = couple(graph), random_inputs(graph)
    kept = plan.kept(coupling)
    large, small = (evaluate(one, feeds)[name] for one in (graph, cut(graph, plan)))
    for axis, dim in enumerate(coupling.dims[name]):
        large = np.take(large, kept_index(coupling.norm(dim), kept), axis)
    return float(np.max(np.abs(large - small)))


@pytest.mark.parametrize("make", [gained, gained_behind, spelled_out, by_one_number, in_two_parts])
def test_filters_that_stay_keep_their_weights_where_a_factor_takes_the_norm_up(make: Make) -> None:
    graph = network(make)
    coupling, plan = couple(graph), planned(network(make))
    assert {"a"} <= set(plan.cuts) and plan.shifts
    assert change(graph, plan) < CLOSE < 1e-2 < change(graph, plan_without_shifts(plan))
    assert all("weights are normed or summed" in str(coupling.group("a").inexact) for _ in plan.cuts)
    assert not any(left_inexact(coupling, plan).values())
    prove(graph, cut(graph, plan), plan)


@pytest.mark.parametrize("make", [bare, standardised])
def test_where_nothing_takes_the_norm_up_the_group_is_inexact_and_no_param_changes(make: Make) -> None:
    graph = network(make)
    coupling, plan = couple(graph), planned(graph)
    assert change(graph, plan) > 1e-2
    assert "weights are normed or summed" in left_inexact(coupling, plan)["a"][0]
    assert not plan.shifts
    prove(graph, cut(graph, plan), plan)


def plan_without_shifts(plan: Plan) -> Plan:
    return Plan(fingerprint=plan.fingerprint, cuts=plan.cuts)


def test_means_of_cut_channels_and_factors_of_weights_are_one_plan() -> None:
    graph = network(gained)
    coupling, plan = couple(graph), planned(graph)
    whole = compensate(coupling, plan).plan
    assert plan.shifts.items() <= whole.shifts.items()
    assert change(graph, whole) < CLOSE
    assert planned(graph) == plan, "the same plan every time"


def test_a_gain_that_data_reads_too_is_left_alone() -> None:
    net = Builder()
    x = net.add("relu", net.conv(net.input(2, 3, 9), 8, 3, path="a"))
    attrs = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1}
    x = net.add("conv", x, gained(net, net.weight(OUT, 8, 3, name="v"), "w"), None, node="b", **attrs)
    x = net.add("multiply", x, net.add("reshape", "w.g", shape=(OUT, 1)))
    graph = net.graph(net.linear(net.add("mean", x, axes=(2,), keepdims=False), 3, path="c"))
    plan = planned(graph)
    assert not plan.shifts and left_inexact(couple(graph), plan)["a"]


def test_the_inner_channels_of_a_product_of_two_weights_are_no_statistic() -> None:
    def low_rank(net: Builder, v: str, name: str) -> str:
        flat = net.add("matmul", net.weight(OUT, 5, name="up"), net.weight(5, 24, name="down"))
        return net.add("add", v, net.add("reshape", flat, shape=(OUT, 8, 3)), alpha=1, node=name)

    graph = network(low_rank)
    coupling, plan = couple(graph), planned(network(low_rank))
    assert len(plan.cuts) == 2 and not plan.shifts
    assert not any(group.inexact for group in coupling.groups)


def test_a_filter_of_which_nothing_is_left_to_be_normed_is_refused() -> None:
    data = np.random.default_rng(0).uniform(-1, 1, (OUT, 8, 3))
    data[5, [1, 2, 5, 6, 7]] = 0
    graph = network(gained, lambda net: net.given(data, name="v"))
    with pytest.raises(UnsupportedError, match="norm of nothing"):
        planned(graph)


def shared(count: int) -> Graph:
    """Several convolutions that scale one standardised weight, each by a gain of its own."""
    net = Builder()
    x = net.add("relu", net.conv(net.input(2, 3, 9), 8, 3, path="a"))
    common = standardised(net, net.weight(OUT, 8, 3, name="v"), "w")
    attrs = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1}
    total = ""
    for at in range(count):
        weight = net.add("multiply", common, net.weight(OUT, 1, 1, low=0.5, high=2.0, name=f"g{at}"))
        made = net.add(
            "conv", x, weight, net.weight(OUT, name=f"b{at}"), node=f"c{at}", path=f"c{at}", **attrs
        )
        total = net.add("add", total, made, alpha=1) if total else made
    return net.graph(net.linear(net.add("mean", total, axes=(2,), keepdims=False), 3, path="d"))


def test_the_work_grows_with_the_number_of_weights_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[object] = []
    run = _refit.masked_run
    monkeypatch.setattr(_refit, "masked_run", lambda *given: (runs.append(given), run(*given))[1])

    def work(count: int) -> int:
        runs.clear()
        plan = planned(shared(count))
        assert "a" in plan.cuts
        return len(runs)

    assert 0 < work(12) < 3 * work(5)
