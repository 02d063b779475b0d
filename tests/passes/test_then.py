"""Plans compose: one plan in the original's terms does what several do one after the other, bit for bit."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunepass.ir import Array, Graph, Tie, UsageError
from prunepass.passes import Cut, Plan, Tensors, couple, cut, plan_for, prove, with_constraints
from prunepass.passes.rewrites import compensate
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import Network, random_graphs, random_networks


def random_plan(graph: Graph, seed: int) -> Plan:
    """A legal cut, repaired every other time, with a few whole tensors and amounts."""
    coupling, rng = couple(graph), np.random.default_rng(seed)
    plan = random_cut(coupling, seed)
    if rng.random() < 0.5:
        plan = compensate(coupling, plan).plan
    trained = [name for name, param in graph.params.items() if param.trained and param.is_float]
    shifts, tensors = dict(plan.shifts), dict[str, Array]()
    for name in (trained[at] for at in rng.permutation(len(trained))[:3]):
        data = graph.params[name].read()
        noise = rng.normal(0, 0.1, data.shape)
        if rng.random() < 0.5:
            tensors[name] = (data + noise).astype(data.dtype)
        elif name not in shifts:
            shifts[name] = tuple(float(number) for number in noise.ravel())
    return msgspec.structs.replace(plan, shifts=shifts, tensors=Tensors(tensors))


def assert_same(one: Graph, other: Graph) -> None:
    """The same graph, bit for bit."""
    assert one.nodes == other.nodes and one.values == other.values
    for name, param in other.params.items():
        np.testing.assert_array_equal(one.params[name].read(), param.read(), strict=True)


def rounds(graph: Graph, seed: int, count: int) -> tuple[list[Plan], list[Graph]]:
    """Plans, each for what those before it leave, and the graphs."""
    plans, graphs = list[Plan](), [graph]
    for at in range(count):
        plans.append(random_plan(graphs[-1], seed + at))
        graphs.append(cut(graphs[-1], plans[-1]))
    return plans, graphs


def hold(network: Network, seed: int, count: int = 2) -> None:
    """The law: any way of joining the rounds gives what they give one after the other."""
    graph = network.graph
    (first, *others), graphs = rounds(graph, seed, count)
    whole = first
    for later in others:
        whole = whole.then(later, graph)
    assert_same(cut(whole.constrain(graph), whole), graphs[-1])
    if count == 3:
        assert_same(cut(graph, first.then(others[0].then(others[1], graphs[1]), graph)), graphs[-1])


def test_plans_of_rounds_compose_over_all_operator_families() -> None:
    joined = 0
    for seed, network in enumerate(random_networks(0, 120)):
        if couple(network.graph).prunable:
            hold(network, seed, 2 + seed % 2)
            joined += 1
    assert joined > 80


@given(random_graphs(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_plans_compose_for_shrinkable_networks(network: Network, seed: int) -> None:
    hold(network, seed, 3)


def test_a_joined_plan_is_proven_on_the_original() -> None:
    graph = residual()
    (first, later), graphs = rounds(graph, 3, 2)
    whole = first.then(later, graph)
    prove(graph, cut(graph, whole), whole, inputs_for(graph))
    again = Plan(**{name: getattr(whole, name) for name in whole.__struct_fields__})
    assert again == whole
    for name, param in graphs[-1].params.items():
        index = whole.indices(name)
        assert param.shape == tuple(
            size if keep is None else len(keep)
            for size, keep in zip(graph.params[name].shape, index, strict=True)
        )


def twins() -> Graph:
    """Two groups that have one name: the second is called ``a#2``."""
    net = Builder("twins")
    x = net.input(2, 3, 4, 4)
    one, two = (
        net.add("conv", x, net.weight(6, 3, 1, 1, name=f"a.{k}"), node=f"a_{k}", path="a") for k in (1, 2)
    )
    one, two = net.conv(net.add("relu", one), 4, path="b"), net.conv(net.add("relu", two), 4, path="c")
    return net.graph(net.conv(net.add("add", one, two), 2, path="d"))


def test_groups_are_followed_where_they_change_their_names() -> None:
    graph = twins()
    first = plan_for(couple(graph), {"a": np.arange(5)})
    small = cut(graph, first)
    assert {group.name for group in couple(small).prunable} == {"a", "b"}, "a#2 has become a"
    whole = first.then(plan_for(couple(small), {"a": np.array([1])}), graph)
    assert whole.cuts == {"a": Cut(6, (0, 1, 2, 3, 4)), "a#2": Cut(6, (1,))}


def test_what_a_later_round_ties_or_pins_does_not_bind_the_first() -> None:
    graph = residual()
    first = plan_for(couple(graph), {"one.a": np.array([0]), "two.a": np.array([5])})
    small = with_constraints(
        cut(graph, first),
        (("stem.bias", 0, "kept by 'stem'"),),
        (Tie(("one.a.bias", 0), ("two.a.bias", 0), "one width"),),
    )
    later = plan_for(couple(small), {"one.a": np.array([0, 7])})
    whole = first.then(later, graph)
    assert whole.cuts == {"one.a": Cut(16, (0, 1, 8)), "two.a": Cut(16, (0, 5, 8))}
    assert_same(cut(whole.constrain(graph), whole), cut(small, later))


def test_pins_and_ties_are_kept_where_they_still_hold() -> None:
    graph = with_constraints(residual(), (("stem.bias", 0, "kept by 'stem'"),))
    tie = Tie(("one.a.bias", 0), ("two.a.bias", 0), "one width")
    first = plan_for(couple(graph), {"one.a": np.array([0])})
    later = plan_for(couple(cut(graph, first)), {"two.a": np.array([3])})
    whole = first.then(later, residual())
    assert whole.pins == (("stem.bias", 0, "kept by 'stem'"),)
    tied = with_constraints(residual(), (), (tie,))
    first = plan_for(couple(tied), {"one.a": np.array([0])})
    later = plan_for(couple(cut(tied, first)), {"one.a": np.array([0])})
    assert first.then(later, residual()).ties == first.ties


def test_a_plan_in_the_wrong_order_is_refused() -> None:
    graph = residual()
    (first, later), _ = rounds(graph, 0, 2)
    for call in (
        lambda: later.then(first, graph),
        lambda: first.then(first, graph),
        lambda: first.then(later, chain()),
        lambda: later.check(graph),
    ):
        with pytest.raises(UsageError, match=r"not made for what the first one leaves|for another model"):
            call()


def test_a_plan_that_knows_its_model_needs_no_graph_and_another_one_says_so() -> None:
    graph = residual()
    (first, later), _ = rounds(graph, 0, 2)
    assert first.made_for(graph).then(later) == first.then(later, graph)
    assert first.made_for(graph) == first and first.made_for(graph).to_json() == first.to_json()
    for call in (lambda: first.then(later), lambda: first.indices("stem.weight")):
        with pytest.raises(UsageError, match="does not know its model"):
            call()
    copied = pickle.loads(pickle.dumps(first.made_for(graph)))
    assert copied == first
    with pytest.raises(UsageError, match="does not know its model"):
        copied.then(later)
    with pytest.raises(UsageError, match="no tensor 'none'"):
        first.indices("none", graph)


def options_of(first: dict[str, object], later: dict[str, object]) -> dict[str, object]:
    graph = chain(16)
    one = plan_for(couple(graph), {"a": np.arange(4)}, **first)
    two = plan_for(couple(cut(graph, one)), {"a": np.arange(4)}, **later)
    return dict(one.then(two, graph).options)


def test_a_joined_plan_promises_what_both_do_together() -> None:
    first = {"budget": "macs=0.8", "align": 4, "floor": 0.5, "score": "l2"}
    later = {"budget": "macs=0.5,params=0.9", "align": 6, "floor": 0.5, "score": "l1"}
    found = options_of(first, later)
    assert found.pop("rounds") == [first, later]
    assert found == {"budget": "macs=0.4,params=0.9", "align": 2, "floor": 0.25, "score": "l1"}


@pytest.mark.parametrize("lost", ["budget", "align"])
def test_what_one_of_them_does_not_promise_both_do_not(lost: str) -> None:
    whole = {"budget": "macs=0.8", "align": 4}
    part = {name: value for name, value in whole.items() if name != lost}
    assert lost not in options_of(whole, part) and lost not in options_of(part, whole)


def test_dead_channels_take_no_budget() -> None:
    assert options_of({"budget": "dead"}, {"budget": "macs=0.5"})["budget"] == "macs=0.5"
    assert options_of({"budget": "dead"}, {"budget": "dead"})["budget"] == "dead"
