"""Sizes that a converter did not know: free, and equal to no other one, however they are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

import prunepass as pp
from prunepass.hosts.onnx import capture, load, replay, run, to_proto
from prunepass.ir import UsageError
from tests.hosts.onnx.models import build, round_trip, shrunk, weights

TEXT = """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
    a = Conv<pads=[1,1,1,1]>(x, w)
    r = Relu(a)
    s = Shape(r)
    n = Constant<value_ints=[-1]>()
    f = Reshape(r, s)
    y = Conv(f, v)
}"""
ARRAYS = {"w": weights(16, 3, 3, 3), "v": weights(4, 16, 1, 1)}
UNKNOWN: tuple[int | str, ...] = (-1, "?", "", "None", "-1", "*", " ")


def net(sizes: Sequence[int | str], outputs: Sequence[int | str] = (1, 4, 8, 8)) -> onnx.ModelProto:
    """The network over an input whose sizes are written so."""
    proto = build(TEXT, ARRAYS)
    for value, given in ((proto.graph.input[0], sizes), (proto.graph.output[0], outputs)):
        for dim, size in zip(value.type.tensor_type.shape.dim, given, strict=True):
            dim.Clear()
            if isinstance(size, int):
                dim.dim_value = size
            else:
                dim.dim_param = size
    return proto


@pytest.mark.parametrize("unknown", UNKNOWN, ids=repr)
def test_unknown_sizes_are_free_and_not_the_same_one(unknown: int | str) -> None:
    proto = net((unknown, 3, unknown, unknown), (unknown, 4, unknown, unknown))
    assert capture(load(proto)).values["y"].shape[:2] == (1, 4)
    for shape in ((2, 3, 9, 21), (1, 3, 48, 12)):
        graph = capture(load(proto), {"x": shape})
        assert graph.values["y"].shape == (shape[0], 4, *shape[2:])
    result = pp.prune(proto, {"x": (1, 3, 6, 18)}, budget="macs=0.6", score="l2")
    dims = result.model.graph.input[0].type.tensor_type.shape.dim
    was = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.SerializeToString() for dim in dims] == [dim.SerializeToString() for dim in was]
    given = {"x": weights(3, 3, 5, 7)}
    assert run(load(result.model), given)["y"].shape == (3, 4, 5, 7)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=repr)
def test_a_network_of_unknown_sizes_is_cut_and_written_for_every_size(unknown: int | str) -> None:
    model = load(net((unknown, 3, unknown, unknown), ("n", 4, "h", "w")))
    graph, _, pruned = round_trip(model)
    assert {axis for _, axis, _ in graph.pins} == {0, 2, 3}
    small = replay(model, graph, shrunk(graph))
    for shape in ((1, 3, 7, 9), (2, 3, 12, 4)):
        assert run(small, {"x": np.ones(shape, np.float32)})["y"].shape == (shape[0], 4, *shape[2:])
    assert to_proto(pruned).graph.node


def test_a_name_that_means_something_is_one_size_wherever_it_stands() -> None:
    for name in ("side", "batch_size", "floor(H/2)", "unk__12", "N", "2*s0 + 1"):
        model = load(net((1, 3, name, name)))
        assert capture(model, {"x": (1, 3, 12, 12)}).values["y"].shape == (1, 4, 12, 12)
        with pytest.raises(UsageError, match="is 12 in one input and 8 in 'x'"):
            capture(model, {"x": (1, 3, 12, 8)})


def test_a_size_that_is_given_must_be_met_beside_unknown_ones() -> None:
    model = load(net((-1, 3, "?", "?")))
    with pytest.raises(UsageError, match="has shape"):
        capture(model, {"x": (1, 4, 8, 8)})
