"""The graph: immutable values, analyses remembered per object, data read when it is wanted."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, ModelError, Node, Param, Run, Value, constant, is_float, verify_graph
from tests.graphs import Builder, chain, residual


def test_every_part_of_a_graph_is_frozen() -> None:
    graph = chain()
    for part, name in (
        (graph, "nodes"),
        (graph.nodes[0], "op"),
        (graph.values["a"], "shape"),
        (graph.params["a.bias"], "shape"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(part, name, None)


def test_readers_are_nodes_with_the_position_at_which_they_read() -> None:
    graph = residual()
    reads = {name: [(node.name, at) for node, at in found] for name, found in graph.readers.items()}
    assert reads["stem"] == [("one.a", 0), ("add_4", 0)]
    assert reads["one.b.weight"] == [("one.b", 1)]
    assert "head" not in reads


def test_a_tensor_that_is_read_twice_by_one_node_is_listed_twice() -> None:
    net = Builder()
    x = net.input(2, 3)
    graph = net.graph(net.add("multiply", x, x, node="square"))
    assert [(node.name, at) for node, at in graph.readers[x]] == [("square", 0), ("square", 1)]


def test_producers_are_the_nodes_that_make_a_value() -> None:
    net = Builder()
    parts = net.add_all("split", net.input(2, 6), sizes=(2, 4), axis=1, node="halves")
    graph = net.graph(*parts)
    assert {name: node.name for name, node in graph.producers.items()} == dict.fromkeys(parts, "halves")


def test_the_outputs_do_not_need_what_they_do_not_depend_on() -> None:
    graph = residual()
    assert graph.needed == {node.name for node in graph.nodes}
    early = replace(graph, outputs=("one.a",))
    assert early.needed == {"stem", "one.a"}


def test_one_run_of_several_is_a_graph_of_its_own() -> None:
    graph = residual()
    runs = (
        Run(tuple(node.name for node in graph.nodes), graph.outputs),
        Run(("stem", "one.a"), ("one.a",), ("",)),
    )
    both = replace(graph, runs=runs)
    assert both.only(runs[0]).nodes == graph.nodes
    part = both.only(runs[1])
    assert ([node.name for node in part.nodes], part.outputs, part.runs) == (
        ["stem", "one.a"],
        ("one.a",),
        (),
    )
    verify_graph(part)


def test_analyses_are_made_once_for_each_graph_object() -> None:
    graph, made = chain(), list[Graph]()

    def analyse(graph: Graph) -> int:
        made.append(graph)
        return len(graph.nodes)

    assert [graph.memo("count", analyse) for _ in range(2)] == [4, 4]
    other = replace(graph, name="other")
    assert other.memo("count", analyse) == 4
    assert made == [graph, other]
    assert graph.readers is graph.readers
    assert graph.readers is not other.readers


def test_a_name_is_a_value_or_a_param_or_an_error() -> None:
    graph = chain()
    assert isinstance(graph.tensor("relu"), Value)
    assert isinstance(graph.tensor("a.weight"), Param)
    with pytest.raises(ModelError, match="'nobody' is read but never made"):
        graph.tensor("nobody")


def test_params_read_their_data_when_they_are_asked() -> None:
    reads = []

    def source() -> Array:
        reads.append(1)
        return np.zeros((2, 3), np.float32)

    param = Param("w", (2, 3), "float32", source)
    assert not reads
    assert param.read().shape == (2, 3)
    assert reads == [1]
    assert param == Param("w", (2, 3), "float32", lambda: np.ones((2, 3), np.float32)), (
        "data are not compared"
    )


def test_constants_are_params_that_nobody_trained() -> None:
    number = constant("half", np.float32(0.5))
    assert (number.shape, number.dtype, number.trained, number.is_float) == ((), "float32", False, True)
    assert constant("three", np.int64(3)).is_float is False


@pytest.mark.parametrize(
    ("dtype", "floats"),
    [("float32", True), ("bfloat16", True), ("float8_e4m3fn", True), ("int8", False), ("bool", False)],
)
def test_floats_are_told_by_their_name(dtype: str, floats: bool) -> None:
    assert is_float(dtype) is floats


def test_nodes_are_compared_by_what_they_say() -> None:
    one, other = (Node("n", "relu", ("x",), ("y",), foreign=lambda *_: ()) for _ in range(2))
    assert one == other
    assert one != replace(one, attrs={"slope": 1})
