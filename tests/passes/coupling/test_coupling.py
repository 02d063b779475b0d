"""Which channels belong together, and that nothing but the network decides it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from prunepass.ir import Graph, Node, Tie, UsageError, verify_graph
from prunepass.passes import Coupling, Member, couple, with_constraints
from tests.graphs import Builder, chain, residual
from tests.passes.networks import Network, build, random_networks
from tests.passes.productions import TABLE

COUNT = 400


def networks() -> tuple[Network, ...]:
    return random_networks(10_000, COUNT)


def summary(coupling: Coupling) -> tuple[Counter[tuple[int, frozenset[Member]]], set[tuple[int, Member]]]:
    """Size and members of every prunable group, and all members that are pinned; names left aside."""
    free = Counter((group.size, frozenset(group.members)) for group in coupling.prunable)
    pinned = {(g.size, member) for g in coupling.groups if not g.prunable for member in g.members}
    return free, pinned


def free_groups(coupling: Coupling) -> list[tuple[str, int]]:
    return [(group.name, group.size) for group in coupling.prunable]


def pinned_axes(coupling: Coupling) -> set[tuple[str, int]]:
    return {(m.tensor, m.axis) for group in coupling.groups if not group.prunable for m in group.members}


def shuffled(graph: Graph, random: Random) -> Graph:
    """The same graph with its nodes in another topological order."""
    made, waiting, order = {*graph.inputs, *graph.params}, list(graph.nodes), list[Node]()
    while waiting:
        ready = [node for node in waiting if all(name is None or name in made for name in node.inputs)]
        chosen = random.choice(ready)
        waiting.remove(chosen)
        order.append(chosen)
        made.update(chosen.outputs)
    return replace(graph, nodes=tuple(order))


def test_groups_do_not_depend_on_the_order_of_nodes() -> None:
    random = Random(0)
    for network in networks():
        other = shuffled(network.graph, random)
        verify_graph(other)
        assert summary(couple(network.graph)) == summary(couple(other)), network.recipe


def test_groups_do_not_depend_on_batch_or_image_size() -> None:
    sized = {name for name, production in TABLE.items() if production.sized}
    compared = 0
    for network in networks():
        if sized & set(network.used):
            continue
        larger = build(replace(network.recipe, batch=5, scale=3))
        assert larger.used == network.used
        for what in (free_groups, pinned_axes):
            assert what(couple(network.graph)) == what(couple(larger.graph)), network.recipe
        compared += 1
    assert compared > 0.7 * COUNT


def groups(graph: Graph) -> dict[str, tuple[int, bool]]:
    """Size of every group and whether it can be pruned."""
    return {group.name: (group.size, group.prunable) for group in couple(graph).groups}


def test_a_group_is_named_after_the_layer_that_makes_it_and_knows_its_places() -> None:
    coupling = couple(chain(8))
    group = coupling.group("a")
    assert [(m.node, m.tensor, m.axis, m.role) for m in group.members] == [
        ("a", "a.weight", 0, "produced"),
        ("a", "a.bias", 0, "carried"),
        ("bn", "bn.weight", 0, "carried"),
        ("bn", "bn.bias", 0, "carried"),
        ("bn", "bn.running_mean", 0, "carried"),
        ("bn", "bn.running_var", 0, "carried"),
        ("b", "relu", 1, "read"),
        ("b", "b.weight", 1, "contracted"),
    ]
    assert coupling.dims["a.weight"][0] is coupling.dims["relu"][1] is group.atom


def test_a_skip_ties_what_it_adds() -> None:
    assert groups(residual(8)) == {
        "stem": (8, True),
        "one.a": (16, True),
        "two.a": (16, True),
        "head": (5, False),
    }
    made = [m.node for m in couple(residual(8)).group("stem").members if m.role == "produced"]
    assert made == ["stem", "one.b", "two.b"]


def test_inputs_and_outputs_are_pinned_with_the_reason() -> None:
    coupling = couple(chain(8))
    assert [str(pin) for pin in coupling.group("b").pins] == ["model output 'b'"]
    assert coupling.group("b").atom is None
    net = Builder()
    x = net.add("add", net.input(2, 6), net.linear(net.input(2, 3), 6, path="a"))
    assert groups(net.graph(net.linear(x, 2, path="b"))) == {"a": (6, False), "b": (2, False)}


def test_a_second_output_pins_its_own_channels_only() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="a")
    y = net.conv(net.add("relu", x), 6, path="b")
    graph = net.graph(net.conv(y, 2, path="c"), x)
    assert groups(graph) == {"b": (6, True), "a": (8, False), "c": (2, False)}


def test_pins_of_the_user_and_ties_of_the_host_are_kept() -> None:
    graph = residual(8)
    pinned = with_constraints(graph, (("one.a.weight", 0, "kept"),))
    assert groups(pinned)["one.a"] == (16, False)
    assert [str(pin) for pin in couple(pinned).group("one.a").pins] == ["kept"]
    tied = with_constraints(graph, (), (Tie(("one.a.weight", 0), ("two.a.weight", 0), "one number"),))
    assert groups(tied) == {"stem": (8, True), "one.a": (16, True), "head": (5, False)}


def test_what_is_as_wide_as_a_param_that_no_run_reads_is_pinned() -> None:
    graph = residual()
    width = graph.params["two.a.weight"].shape[0]
    free = {group.name for group in couple(graph).prunable if group.size != width}
    unread = replace(graph.params["two.a.weight"], name="aux.weight", shape=(10_000, width))
    coupling = couple(replace(graph, unread=(unread,)))
    assert {group.name for group in coupling.prunable} == free != set()
    assert "aux.weight" in str(coupling.group("two.a").pins[0])


def test_groups_of_one_layer_are_numbered() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 12, path="a")
    first, second = net.add_all("split", x, sizes=(4, 8), axis=1)
    graph = net.graph(net.add("add", net.conv(first, 2, path="b"), net.conv(second, 2, path="c")))
    assert [(g.name, g.size) for g in couple(graph).prunable] == [("a", 4), ("a#2", 8)]


def test_a_depthwise_weight_is_carried_and_a_square_layer_makes_and_reads() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="a")
    x = net.conv(x, 8, 3, path="depthwise", groups=8, padding=1)
    x = net.add("add", x, net.conv(x, 8, path="square"))
    group = couple(net.graph(net.conv(x, 2, path="b"))).group("a")
    roles = {(m.tensor, m.axis): m.role for m in group.members}
    assert roles["depthwise.weight", 0] == "carried"
    assert roles["square.weight", 0] == "produced"
    assert roles["square.weight", 1] == "contracted"


def test_a_recurrent_layer_makes_its_hidden_channels() -> None:
    net = Builder()
    weights = net.weight(1, 24, 3, name="w"), net.weight(1, 24, 6, name="r")
    x, kind = net.input(5, 2, 3), "lstm"
    states = net.add_all(kind, x, *weights, node="cell", kind=kind, direction="forward", hidden=6)[0]
    group = couple(net.graph(net.linear(states, 2, path="head"))).group("cell")
    roles = {(m.tensor, m.axis): m.role for m in group.members}
    assert (group.size, roles["w", 1], roles["r", 1], roles["r", 2]) == (
        6,
        "produced",
        "produced",
        "contracted",
    )


def test_channels_that_nobody_reads_are_no_group() -> None:
    net = Builder()
    x = net.input(1, 3, 4, 4)
    net.conv(x, 8, path="unused")
    assert groups(net.graph(net.conv(x, 2, path="b"))) == {"b": (2, False)}


def test_a_missing_group_is_an_error_of_usage() -> None:
    with pytest.raises(UsageError, match="there is no group 'c'"):
        couple(chain()).group("c")


def test_coupling_is_solved_once_for_each_graph_object() -> None:
    graph = chain()
    assert couple(graph) is couple(graph)
    assert couple(replace(graph)) is not couple(graph)


def test_what_params_alone_make_is_static() -> None:
    net = Builder()
    weight = net.add("multiply", net.weight(4, 3), net.weight(4, 1))
    x = net.add("linear", net.input(2, 3), weight)
    fill = net.add("full", None, shape=(2, 4), value=0.5, dtype="float32")
    assert couple(net.graph(net.add("add", x, fill))).static == {weight, fill}


def test_statistics_over_cut_channels_are_marked() -> None:
    net = Builder()
    x = net.linear(net.input(2, 5, 3), 6, path="a")
    x = net.add("layer_norm", x, axis=2, eps=1e-5, path="norm")
    coupling = couple(net.graph(net.linear(x, 2, path="b")))
    assert coupling.group("a").inexact == ("statistics are taken over these channels [norm]",)
    assert coupling.group("b").inexact == ()


def test_an_operator_without_a_declaration_pins_what_it_touches() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="a")
    x = net.add_foreign("custom::swirl", x, result=(1, 8, 4, 4), evaluate=lambda array: (np.asarray(array),))
    group = couple(net.graph(net.conv(x, 2, path="b"))).group("a")
    assert [pin.reason for pin in group.pins] == ["operator 'custom::swirl' has no declaration"]


@pytest.mark.parametrize("op", ["shape", "size"])
def test_a_size_that_is_read_as_data_is_pinned(op: str) -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="a")
    size = net.add("shape", x, start=1, end=2) if op == "shape" else net.add("size", x)
    x = net.add("divide", x, net.add("cast", size, dtype="float32"))
    assert not couple(net.graph(net.conv(x, 2, path="b"))).prunable
