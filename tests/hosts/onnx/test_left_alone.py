"""Operators that are declared to be left alone: pinned like unknown ones, and the user is told what to do instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import prunepass as pp
from prunepass.hosts.onnx import capture, load
from prunepass.ir import BudgetError, registry
from prunepass.passes import couple
from tests.hosts.onnx.models import build, weights
from tests.hosts.onnx.test_quantized import NET, SHAPES, quantised

quantization = pytest.importorskip("onnxruntime.quantization")


def _float() -> onnx.ModelProto:
    arrays = {name: weights(*shape, seed=at) * 0.3 for at, (name, shape) in enumerate(SHAPES.items())}
    return build(NET, arrays)


def fused(folder: Path) -> onnx.ModelProto:
    return quantised(_float(), folder, (1, 3, 8, 8), quant_format=quantization.QuantFormat.QOperator)


def dynamic(folder: Path) -> onnx.ModelProto:
    onnx.save(_float(), folder / "float.onnx")
    kind = quantization.QuantType.QUInt8
    quantization.quantize_dynamic(folder / "float.onnx", folder / "codes.onnx", weight_type=kind)
    return onnx.load(folder / "codes.onnx")


def blocks(folder: Path) -> onnx.ModelProto:
    """Two products with weights of four bits."""
    text = """(float[1,4,32] x) => (float[1,4,32] y) {
        h = com.microsoft.MatMulNBits<K=32, N=64, bits=4, block_size=32>(x, aq, as)
        r = Relu(h)
        y = com.microsoft.MatMulNBits<K=64, N=32, bits=4, block_size=32>(r, bq, bs)
    }"""
    codes = np.random.default_rng(0).integers(0, 255, (64, 1, 16)).astype(np.uint8)
    steps = np.full(64, 0.01, np.float32)
    arrays = {"aq": codes, "bq": codes.reshape(32, 2, 16), "as": steps, "bs": steps}
    return build(text, arrays, more=', "com.microsoft" : 1')


@pytest.mark.parametrize(
    ("form", "kind", "advice"),
    [
        (fused, "QLinearConv", "QuantFormat.QDQ"),
        (dynamic, "ConvInteger", "QuantFormat.QDQ"),
        (blocks, "com.microsoft::MatMulNBits", "prune the float model"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_where_they_leave_nothing_to_prune_they_are_named_with_what_to_do(
    form: object, kind: str, advice: str, tmp_path: Path
) -> None:
    assert callable(form)
    model = form(tmp_path)
    with pytest.raises(BudgetError, match=f"nothing can be pruned .* operator '{kind}': ") as caught:
        pp.prune(model, budget="macs=0.6", score="l2")
    assert advice in caught.value.advice
    assert "\n" not in str(caught.value)


def test_the_rest_of_a_model_is_pruned_around_them() -> None:
    text = """(float[1,3,8,8] x) => (float[1,8,8,4] y) {
        a = Conv(x, w1)
        r = Relu(a)
        b = Conv(r, w2)
        t = Transpose<perm=[0,2,3,1]>(b)
        c, s, z = DynamicQuantizeLinear(t)
        i = MatMulInteger(c, q, z)
        f = Cast<to=1>(i)
        y = Mul(f, s)
    }"""
    arrays = {"w1": weights(16, 3, 1, 1), "w2": weights(4, 16, 1, 1), "q": np.ones((4, 4), np.uint8)}
    result = pp.prune(build(text, arrays), budget="macs=0.6", score="l2")
    assert set(result.plan.cuts) == {"a"}
    held = [pin for group in couple(capture(load(build(text, arrays)))).groups for pin in group.pins]
    assert any("DynamicQuantizeLinear" in pin.reason and pin.advice for pin in held)


def test_each_says_why_and_what_to_do() -> None:
    for op in registry().ops.values():
        for spelling in op.onnx:
            assert bool(spelling.opaque) == bool(spelling.advice)
            assert not (spelling.opaque and (spelling.inputs or spelling.attrs or spelling.fix))


def test_a_budget_that_cannot_be_met_names_the_most_frequent_reasons_first() -> None:
    text = """(float[1,3,8,8] x, float[1,3,8,8] z) => (float[1,4,8,8] y, float[1,5,8,8] u, float[1,6,8,8] v) {
        y = Conv(x, w1)
        u = Conv(x, w2)
        v = Conv(x, w3)
    }"""
    arrays = {f"w{i}": weights(channels, 3, 1, 1) for i, channels in ((1, 4), (2, 5), (3, 6))}
    with pytest.raises(
        BudgetError, match=r"3 groups are pinned: model output 'y' \(1\); .* \(1\); .* \(1\)\)"
    ):
        pp.prune(build(text, arrays), budget="macs=0.6", score="l2")
