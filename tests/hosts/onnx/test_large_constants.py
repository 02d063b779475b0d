"""A few bytes in a file that stand for gigabytes: folded while small, a formula or a refusal beyond."""

from __future__ import annotations

import tracemalloc

import numpy as np
import onnx
import pytest

import prunepass as pp
from prunepass.hosts.onnx import _ledger, capture, load
from prunepass.ir import ModelError
from tests.hosts.onnx.models import build, weights

MOST = 256 << 20
"""Bytes that refusing, or pruning what does not need the constant, may take."""

WAYS = {
    "ConstantOfShape": "big = ConstantOfShape(sizes)",
    "Expand": "big = Expand(one, sizes)",
    "Tile": "big = Tile(one, sizes)",
    "Resize": "big = Resize(one, , , sizes)",
    "Range": "r = Range(zero, count, unit)\n big = Cast<to=1>(r)",
    "Pad": "big = Pad(one, pads)",
    "CumSum": "e = Expand(unit, sizes)\n k = CumSum(e, zero)\n big = Cast<to=1>(k)",
    "Where": "e = ConstantOfShape(sizes)\n g = Greater(e, none)\n big = Where(g, one, none)",
}


def net(way: str, side: int) -> onnx.ModelProto:
    """Two convolutions, and between them a factor that is the largest entry of a constant of side x side."""
    text = f"""(float[1,3,8,8] x) => (float[1,4,8,8] y) {{
        a = Conv(x, w)
        {WAYS[way]}
        most = ReduceMax<keepdims=0>(big)
        b = Mul(a, most)
        y = Conv(b, v)
    }}"""
    whole = {
        "sizes": [side, side],
        "zero": 0,
        "unit": 1,
        "count": side * side,
        "pads": [0, 0, side - 1, side - 1],
    }
    arrays = {name: np.array(value, np.int64) for name, value in whole.items()}
    floats = {"one": np.ones((1, 1), np.float32), "none": np.float32(-1)}
    return build(text, {**arrays, **floats, "w": weights(8, 3, 1, 1), "v": weights(4, 8, 1, 1)})


@pytest.mark.parametrize("way", WAYS)
def test_a_constant_of_gigabytes_is_refused_in_little_memory(way: str) -> None:
    proto = net(way, 30_000)
    assert proto.ByteSize() < 4000
    tracemalloc.start()
    try:
        graph = capture(load(proto))
        with pytest.raises(ModelError, match=r"the proof needs .* GB for values alive at once"):
            pp.prune(proto, budget="macs=0.8", score="l2")
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert sum(param.read().nbytes for param in graph.params.values()) < MOST


@pytest.mark.parametrize("way", WAYS)
def test_a_small_one_is_no_hindrance(way: str) -> None:
    result = pp.prune(net(way, 6), budget="macs=0.8", score="l2")
    assert result.report.after.macs < result.report.before.macs


def test_constants_together_are_folded_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 40
    before = ["start", *(f"s{i}" for i in range(count))]
    body = "\n".join(f"c{i} = Expand(unit, sizes)\n s{i} = Add({before[i]}, c{i})" for i in range(count))
    text = f"(int64[100] start) => (int64[100] s{count - 1}) {{ {body} }}"
    proto = build(text, {"unit": np.array(1, np.int64), "sizes": np.array([100], np.int64)})
    kept = [node.op for node in capture(load(proto)).nodes]
    assert kept == ["add"] * count
    monkeypatch.setattr(_ledger, "_MOST_HELD", 4000)
    kept = [node.op for node in capture(load(proto)).nodes]
    assert kept.count("add") == count
    assert count - 6 <= len(kept) - count < count
