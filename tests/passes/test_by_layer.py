"""Groups and plans by the names of layers and the numbers of their output channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Graph, UsageError
from prunepass.passes import Coupling, Cut, Plan, couple, cut, find_group, plan_for
from tests.graphs import Builder, chain, residual
from tests.passes.networks import random_networks


def cuts(graph: Graph, **remove: Any) -> dict[str, Cut]:
    return dict(Plan.of(graph, {name.replace("__", "."): given for name, given in remove.items()}).cuts)


def attention() -> Graph:
    """One layer makes queries, keys and values of three heads with four channels each."""
    net = Builder("attention")
    x = net.linear(net.input(2, 5, 8), 8, path="first")
    x = net.add("reshape", net.linear(x, 36, path="qkv"), shape=(2, 5, 3, 3, 4))
    q, k, v = net.add_all("unbind", net.add("permute", x, order=(2, 0, 3, 1, 4)), axis=0)
    scores = net.add("softmax", net.add("matmul", q, net.add("permute", k, order=(0, 1, 3, 2))), axes=(3,))
    x = net.add("permute", net.add("matmul", scores, v), order=(0, 2, 1, 3))
    return net.graph(net.linear(net.add("reshape", x, shape=(2, 5, 12)), 4, path="out"))


def joined() -> Graph:
    """Two layers side by side, read by a third."""
    net = Builder("joined")
    x = net.input(2, 3, 4, 4)
    both = net.add("concat", net.conv(x, 4, path="one"), net.conv(x, 6, path="two"), axis=1)
    return net.graph(net.conv(net.add("relu", net.batch_norm(both, path="bn")), 2, path="last"))


@pytest.mark.parametrize("layer", ["stem", "two.b", "one.b", "stem.bias", "two.b.weight"])
def test_a_group_is_found_by_any_layer_or_weight_that_gives_its_channels(layer: str) -> None:
    assert find_group(couple(residual()), layer).name == "stem"


def test_a_layer_that_only_reads_finds_what_it_reads_and_a_pinned_group_is_found_too() -> None:
    coupling = couple(chain())
    assert find_group(coupling, "bn").name == "a"
    assert find_group(coupling, "b").name == "b" and not find_group(coupling, "b").prunable


@pytest.mark.parametrize("layer", ["three", "relu", ""])
def test_a_name_that_no_group_has_is_refused(layer: str) -> None:
    with pytest.raises(UsageError, match=f"no group has a layer '{layer}'"):
        find_group(couple(residual()), layer)


def test_a_layer_of_several_groups_is_named_with_them() -> None:
    with pytest.raises(UsageError, match="channels of several groups: 'one', 'two'"):
        find_group(couple(joined()), "bn")


def test_a_group_prints_as_a_few_lines() -> None:
    coupling = couple(chain())
    assert str(coupling.group("a")).splitlines() == [
        "a: 8 channels, prunable",
        "  made by a (weight)",
        "  carried by a (bias), bn (weight, bias, running_mean, running_var)",
        "  read by b (weight)",
    ]
    assert str(coupling.group("b")).splitlines()[-1] == "  pinned: model output 'b'"


def test_numbers_are_output_channels_and_layers_of_one_group_add_up() -> None:
    assert cuts(residual(), one__a=[3, 0, 3], stem=[1], two__b=np.array([4])) == {
        "one.a": Cut(16, (0, 3)),
        "stem": Cut(8, (1, 4)),
    }
    assert cuts(residual()) == cuts(residual(), stem=[]) == {}


def test_numbers_of_what_was_joined_are_told_apart() -> None:
    assert cuts(joined(), bn=[0, 3, 4, 9]) == {"one": Cut(4, (0, 3)), "two": Cut(6, (0, 5))}


def test_channels_that_go_only_together_are_named() -> None:
    graph = attention()
    with pytest.raises(UsageError, match="channel 1 of 'qkv' goes only together with 5, 9, 13, 17, 21"):
        cuts(graph, qkv=[1])
    whole = cuts(graph, qkv=[part * 12 + head * 4 + 1 for part in range(3) for head in range(3)])
    assert {cut.remove for cut in whole.values()} == {(1,)}
    head = cuts(graph, qkv=[part * 12 + 4 + at for part in range(3) for at in range(4)])
    assert [(cut.size, cut.remove) for cut in head.values()] == [(3, (1,))]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"three": [0]}, "nothing in the model is called 'three'"),
        ({"relu": [0]}, "'relu' gives no channels that any weight makes"),
        ({"b": [1]}, "channel 1 of 'b' is pinned: model output 'b'"),
        ({"a": [8]}, "'a' has 8 channels, there is no channel 8"),
        ({"a": [-1]}, "there is no channel -1"),
        ({"a": [True]}, "are whole numbers"),
        ({"a": 3}, "are whole numbers"),
        ({"a": "0"}, "are whole numbers"),
        ({"a": [0.0]}, "are whole numbers"),
        ({"a": range(8)}, "leave a channel"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(given: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Plan.of(chain(), given)


def test_in_any_network_numbers_of_a_layer_are_those_of_its_group() -> None:
    """What a plan takes of the channels of a layer gives, named by layer, the same cut."""
    compared = 0
    for seed, network in enumerate(random_networks(0, 80)):
        coupling = couple(network.graph)
        for group in coupling.prunable:
            plan = plan_for(coupling, {group.name: np.array([seed % group.size])}) if group.size > 1 else None
            compared += plan is not None and _same(coupling, group.name, plan)
    assert compared > 60


def _same(coupling: Coupling, name: str, plan: Plan) -> bool:
    graph, small = coupling.graph, cut(coupling.graph, plan)
    member = next((m for m in coupling.group(name).members if m.role == "produced"), None)
    if member is None or member.tensor not in graph.params:
        return False
    made = [m for group in coupling.groups for m in group.members if m.tensor == member.tensor]
    if len({m.axis for m in made if m.role == "produced"}) > 1:
        return False  # a table has channels of two kinds
    stays = plan.indices(member.tensor, graph)[member.axis]
    assert stays is not None
    gone = np.setdiff1d(np.arange(graph.params[member.tensor].shape[member.axis]), stays)
    again = Plan.of(graph, {member.tensor: gone})
    assert again.cuts == plan.cuts and cut(graph, again).values == small.values
    return True
