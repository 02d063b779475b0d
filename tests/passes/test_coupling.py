"""Which channels belong together, and that nothing but the network decides it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from prunepass.ir import Graph, Node, verify_graph
from prunepass.passes import Coupling, couple
from tests.passes.networks import Network, build, random_networks
from tests.passes.productions import TABLE

COUNT = 400


def networks() -> tuple[Network, ...]:
    return random_networks(10_000, COUNT)


def summary(coupling: Coupling) -> tuple[Counter[tuple[object, ...]], set[tuple[object, ...]]]:
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
