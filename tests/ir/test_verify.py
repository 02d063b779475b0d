"""Structural checks: a graph that is not well formed is refused, and the text shows the node among its neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunepass.ir import Graph, ModelError, Origin, Value, rule_of, verify_graph
from tests.graphs import Builder, chain, residual


def swapped(graph: Graph, at: str, **changes: object) -> Graph:
    """``graph`` with one node changed."""
    nodes = tuple(replace(node, **changes) if node.name == at else node for node in graph.nodes)  # type: ignore[arg-type]
    return replace(graph, nodes=nodes)


def valued(graph: Graph, name: str, shape: tuple[int, ...]) -> Graph:
    """``graph`` with another shape for one value."""
    return replace(graph, values={**graph.values, name: Value(name, shape, "float32")})


def test_well_formed_graphs_pass() -> None:
    for graph in (chain(), residual(), Builder("empty").graph()):
        verify_graph(graph)


CHAIN = chain(8)
WRONG = {
    "'relu' is read before it is made": replace(CHAIN, nodes=tuple(reversed(CHAIN.nodes))),
    "'nothing' is read before it is made": swapped(CHAIN, "b", inputs=("nothing", "b.weight", "b.bias")),
    "two nodes are called 'a'": swapped(CHAIN, "b", name="a"),
    "'a' is made twice": swapped(CHAIN, "b", outputs=("a",)),
    "'c', a result of 'b', has no type": swapped(CHAIN, "b", outputs=("c",)),
    "operator 'explode' is not declared": swapped(CHAIN, "relu", op="explode"),
    "output 'c' is never made": replace(CHAIN, outputs=("b", "c")),
    "input 'y' has no type": replace(CHAIN, inputs=("x0", "y")),
    "'a.weight' is both input and param": replace(
        CHAIN,
        inputs=("x0", "a.weight"),
        values={**CHAIN.values, "a.weight": Value("a.weight", (8, 3, 3, 3), "float32")},
    ),
    "'relu' is (2, 8, 4, 9), its rule says (2, 8, 4, 4)": valued(CHAIN, "relu", (2, 8, 4, 9)),
    "convolution of data (2, 8, 4, 4) with weight (2, 8, 1, 1) in 3 groups": swapped(
        CHAIN, "b", attrs={"groups": 3}
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said(what: str) -> None:
    with pytest.raises(ModelError) as error:
        verify_graph(WRONG[what])
    assert what in str(error.value)


def test_the_text_shows_the_node_among_its_neighbours() -> None:
    with pytest.raises(ModelError) as error:
        verify_graph(swapped(residual(), "one.b", op="explode"))
    lines = str(error.value).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("> "))
    assert lines[at].startswith("> %one.b: f32[2,8,4,4] = explode(%relu_2, one.b.weight")
    assert lines[at + 1] == "  ^ operator 'explode' is not declared"
    assert lines[at - 1].startswith("  %relu_2")
    assert len(lines) == 1 + 3 + 2 + 3


def test_an_error_names_the_place_in_the_users_model() -> None:
    graph = swapped(CHAIN, "relu", op="explode", origin=Origin("layers.1", "net.py:7"))
    with pytest.raises(ModelError, match=r"^layers\.1, net\.py:7: operator 'explode'"):
        verify_graph(graph)


def test_a_rule_is_made_once_for_each_graph_object() -> None:
    graph = chain()
    node = graph.nodes[0]
    assert rule_of(graph, node) is rule_of(graph, node)
    assert rule_of(replace(graph, name="other"), node) is not rule_of(graph, node)
