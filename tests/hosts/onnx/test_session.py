"""An ONNX model open for work, in whatever form it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import load, open_session
from prunepass.ir import UnsupportedError
from tests.hosts.onnx.models import build, close, shrunk, weights

TEXT = "(float[N,3,4,4] x) => (float[N,2,4,4] y) { a = Conv(x, w1)\n r = Relu(a)\n y = Conv(r, w2) }"
ARRAYS = {"w1": weights(12, 3, 1, 1), "w2": weights(2, 12, 1, 1)}


def width(model: ir.Model | onnx.ModelProto) -> int:
    opened = model if isinstance(model, ir.Model) else load(model)
    shape = opened.graph.initializers["w1"].shape
    assert shape is not None
    return int(shape[0])


def test_a_proto_comes_back_as_a_proto_and_stays_as_it_was() -> None:
    proto = build(TEXT, ARRAYS)
    session = open_session(proto)
    small = session.replay(session.graph, shrunk(session.graph), inplace=False)
    assert isinstance(small, onnx.ModelProto) and small is not proto
    assert width(small) < width(proto) == 12
    assert session.form == "onnx"


def test_in_place_the_users_own_object_changes() -> None:
    proto, model = build(TEXT, ARRAYS), load(build(TEXT, ARRAYS))
    for source in (proto, model):
        session = open_session(source)
        assert session.replay(session.graph, shrunk(session.graph), inplace=True) is source
        assert width(source) < 12


def test_in_place_works_where_a_copy_had_to_be_put_in_order() -> None:
    model = load(build(TEXT, ARRAYS))
    first = model.graph[0]
    model.graph.remove(first)
    model.graph.insert_after(model.graph[-1], [first])
    session = open_session(model)
    assert session.replay(session.graph, shrunk(session.graph), inplace=True) is model
    assert width(model) < 12


def test_a_path_gives_a_model_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build(TEXT, ARRAYS), path)
    session = open_session(path)
    small = session.replay(session.graph, shrunk(session.graph), inplace=True)
    assert isinstance(small, ir.Model) and width(small) < 12
    assert width(onnx.load(path)) == 12


def test_a_graphsurgeon_graph_comes_back_as_one() -> None:
    surgeon = pytest.importorskip("onnx_graphsurgeon")
    graph = surgeon.import_onnx(build(TEXT, ARRAYS))
    session = open_session(graph)
    small = session.replay(session.graph, shrunk(session.graph), inplace=False)
    assert isinstance(small, surgeon.Graph) and small is not graph
    assert session.replay(session.graph, shrunk(session.graph), inplace=True) is graph
    feeds = {"x": weights(1, 3, 4, 4)}
    close(session.run(graph, feeds)[0], session.run(small, feeds)[0])


def test_outputs_come_in_the_order_of_the_graph() -> None:
    text = "(float[N,3] x) => (float[N,3] b, float[N,3] a) { a = Relu(x)\n b = Neg(x) }"
    session = open_session(build(text))
    given = {"x": np.array([[-1.0, 2.0, 3.0]], np.float32)}
    first, second = session.run(build(text), given)
    np.testing.assert_array_equal(first, -given["x"])
    np.testing.assert_array_equal(second, np.maximum(given["x"], 0))


def test_example_data_is_kept_and_example_shapes_are_not() -> None:
    data = weights(5, 3, 4, 4)
    given = open_session(build(TEXT, ARRAYS), [data]).feeds()
    assert given is not None and given["x"] is data
    assert open_session(build(TEXT, ARRAYS), [(5, 3, 4, 4)]).feeds() is None
    assert open_session(build(TEXT, ARRAYS)).feeds() is None


def test_a_node_that_cannot_be_written_is_pinned_for_the_next_plan() -> None:
    session = open_session(build(TEXT, ARRAYS))
    mismatch = UnsupportedError("no way", where=session.graph.nodes[1].origin)
    once = session.constrain(session.graph, mismatch)
    assert ("r", 1, "r: no way") in once.pins and ("a", 1, "r: no way") in once.pins
    assert session.constrain(once, mismatch) is once
    assert session.constrain(session.graph, UnsupportedError("elsewhere")) is session.graph


def test_a_computed_table_that_cannot_shrink_is_pinned_where_it_is_read() -> None:
    text = """(float[N,6,W] x) => (float[N,2] y) {
        b = Conv(x, w1)
        a = Conv(b, w0)
        s = Shape(x)
        w = Gather(s, two)
        last = Sub(w, one)
        places = Mul(picked, last)
        seen = Gather<axis = 2>(a, places)
        pool = ReduceMax<axes = [2], keepdims = 0>(x)
        shares = MatMul(pool, w2)
        row = Unsqueeze(shares, one_)
        shared = Mul(seen, row)
        mixed = ReduceSum<keepdims = 0>(shared, two_)
        y = MatMul(mixed, w3)
    }"""
    arrays = {
        "w1": weights(12, 6, 1),
        "w0": weights(12, 12, 1),
        "w2": weights(6, 3),
        "w3": weights(12, 2),
        "picked": np.array([0, 1, 1]),
    }
    numbers = {"one": np.array(1), "two": np.array(2), "one_": np.array([1]), "two_": np.array([2])}
    session = open_session(build(text, {**arrays, **numbers}), [(2, 6, 9)])
    with pytest.raises(UnsupportedError, match="cannot become") as caught:
        session.replay(session.graph, shrunk(session.graph), inplace=False)
    learnt = session.constrain(session.graph, caught.value)
    small = session.replay(learnt, shrunk(learnt), inplace=False)
    assert width(small) < 12
