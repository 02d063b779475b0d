"""Models with quantised weights and data: channels pass through codes, and codes are only ever sliced."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import prunepass as pp
from prunepass.hosts.onnx import capture, feeds, load, run
from prunepass.ir import Array, Graph, fixed, rule_of
from prunepass.ir._cutting import kept_of, masked
from prunepass.passes import Plan, couple, plan_for, scores
from prunepass.passes.rewrites._compensate import compensate
from tests.hosts.onnx.models import build, round_trip, weights
from tests.hosts.onnx.test_real import foreign

quantization = pytest.importorskip("onnxruntime.quantization")

NET = """
(float[1,3,8,8] x) => (float[1,5] y) {
  a = Conv<pads=[1,1,1,1]>(x, wa, ba)
  ra = Relu(a)
  d = Conv<group=12, pads=[1,1,1,1]>(ra, wd, bd)
  rd = Relu(d)
  b = Conv(rd, wb, bb)
  s = Add(b, ra)
  c = Conv(s, wc, bc)
  rc = Relu(c)
  p = GlobalAveragePool(rc)
  f = Flatten(p)
  y = Gemm<transB=1>(f, wg, bg)
}
"""
SHAPES = {
    "wa": (12, 3, 3, 3), "ba": (12,), "wd": (12, 1, 3, 3), "bd": (12,), "wb": (12, 12, 1, 1), "bb": (12,),
    "wc": (16, 12, 1, 1), "bc": (16,), "wg": (5, 16), "bg": (5,),
}  # fmt: skip


class Examples(quantization.CalibrationDataReader):  # type: ignore[misc]
    """A few inputs to find the ranges with."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._made: Iterator[dict[str, Array]] = iter(
            {name: np.random.default_rng(seed).standard_normal(shape).astype(np.float32)} for seed in range(3)
        )

    def get_next(self) -> dict[str, Array] | None:
        return next(self._made, None)


def quantised(
    model: onnx.ModelProto, folder: Path, shape: tuple[int, ...], **options: Any
) -> onnx.ModelProto:
    """The model as ONNX Runtime's own tool quantises it; weights of 7 bits add up exactly on every processor."""
    onnx.save(model, folder / "float.onnx")
    quantization.quantize_static(
        folder / "float.onnx",
        folder / "codes.onnx",
        Examples(model.graph.input[0].name, shape),
        weight_type=quantization.QuantType.QInt8,
        reduce_range=True,
        **options,
    )
    return onnx.load(folder / "codes.onnx")


def small_net(folder: Path, **options: Any) -> onnx.ModelProto:
    arrays = {name: weights(*shape, seed=at) * 0.3 for at, (name, shape) in enumerate(SHAPES.items())}
    return quantised(build(NET, arrays), folder, (1, 3, 8, 8), **options)


def with_masked_codes(model: onnx.ModelProto, graph: Graph, plan: Plan) -> onnx.ModelProto:
    """The whole model with the code for zero wherever a weight reads a channel that the plan cuts."""
    coupling, made = couple(graph), onnx.ModelProto()
    kept = plan.kept(coupling)
    changed: dict[str, Array] = {}
    for node in graph.nodes:
        rule = rule_of(graph, node)
        for name, dims in zip(node.inputs, rule.operands, strict=True):
            if name in coupling.static and dims is not None:
                codes = str(graph.producers[name].inputs[0])
                read = tuple(dim if dim in rule.contracted else fixed((dim.size,))[0] for dim in dims)
                index = kept_of(read, coupling.norm, kept)
                changed[codes] = masked(changed.get(codes, graph.params[codes].read()), index)
    made.CopyFrom(model)
    for tensor in made.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
    return made


def output_of(model: Any, given: Mapping[str, Array]) -> Array:
    return next(iter(run(load(model), given).values()))


def last_step(graph: Graph) -> float:
    """The step of the codes that the output is made from."""
    at = graph.producers[graph.outputs[0]].inputs[1]
    return float(graph.params[str(at)].read())


def assert_masked_is_pruned(model: onnx.ModelProto, pruned: Any, plan: Plan) -> None:
    """In ONNX Runtime, which adds up codes: the same, or one step where a float was rounded otherwise."""
    graph = capture(load(model))
    whole = with_masked_codes(model, graph, plan)
    for seed in range(4):
        given = feeds(graph, seed)
        want, got = output_of(whole, given), output_of(pruned, given)
        assert np.max(np.abs(want - got)) <= 1.001 * last_step(graph)
        assert np.ptp(want) > 8 * last_step(graph), "the output says nothing"


@pytest.mark.parametrize("per_channel", [False, True])
def test_channels_pass_through_codes_and_weights_stay_codes(tmp_path: Path, per_channel: bool) -> None:
    model = small_net(tmp_path, per_channel=per_channel)
    graph, small, pruned = round_trip(load(model))
    assert not foreign(graph)
    groups = [(group.name, group.size) for group in couple(graph).groups if group.prunable]
    assert sorted(size for _, size in groups) == [12, 16]
    codes = [param for param in small.params.values() if param.dtype == "int8" and len(param.shape) > 1]
    assert {param.shape[0] for param in codes} == {8, 11, 5}
    before = {value.name: value.const_value for value in load(model).graph.initializers.values()}
    for name, value in pruned.graph.initializers.items():
        assert value.const_value is not None
        old = before[name]
        assert old is not None
        assert old.dtype == value.const_value.dtype
        assert set(value.const_value.numpy().ravel().tolist()) <= set(old.numpy().ravel().tolist())


@pytest.mark.parametrize("per_channel", [False, True])
def test_what_is_pruned_is_what_is_masked_in_the_runtime(tmp_path: Path, per_channel: bool) -> None:
    model = small_net(tmp_path, per_channel=per_channel)
    for score in ("auto", "dfpc"):
        result = pp.prune(model, budget="macs=0.6", score=score)
        assert_masked_is_pruned(model, result.model, result.plan)


NORMED = """
(float[2,3,6,6] x) => (float[2,5,6,6] y) {{
  a = Conv<pads=[1,1,1,1]>(x, wa)
  n = BatchNormalization(a, scale, shift, mean, var)
  r = Relu(n)
  q = QuantizeLinear(r, sq, zq)
  d = DequantizeLinear(q, sq, zq)
  {weight}
  {bias}
  y = Conv(d, wb, bb)
}}
"""
CODED = "wb = DequantizeLinear<axis=0>(kb, sb)"
DRAWN = "cb = QuantizeLinear<axis=0>(fb, sb, zb)\n  wb = DequantizeLinear<axis=0>(cb, sb, zb)"
_RNG = np.random.default_rng(5)
TABLES: dict[str, Array] = {
    "wa": weights(8, 3, 3, 3),
    "scale": np.abs(weights(8, seed=1)) + 0.5,
    "shift": weights(8, seed=2),
    "mean": weights(8, seed=3),
    "var": np.abs(weights(8, seed=4)) + 0.5,
    "sq": np.float32(0.05),
    "zq": np.uint8(3),
    "kb": _RNG.integers(-90, 90, (5, 8, 1, 1)).astype(np.int8),
    "fb": weights(5, 8, 1, 1, seed=5),
    "sb": np.array([0.001, 0.1, 0.02, 0.05, 0.01], np.float32),
    "zb": np.zeros(5, np.int8),
    "kc": _RNG.integers(-5000, 5000, 5).astype(np.int32),
    "sc": np.array([0.001, 0.1, 0.02, 0.05, 0.01], np.float32) * np.float32(0.05),
    "fc": weights(5, seed=6),
}


def normed(weight: str, bias: str) -> onnx.ModelProto:
    """A normalised layer, and one that reads it through codes."""
    text = NORMED.format(weight=weight, bias=bias)
    return build(text, {name: array for name, array in TABLES.items() if name in _words(text)})


def _words(text: str) -> set[str]:
    return set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())


@pytest.mark.parametrize("weight", [CODED, DRAWN])
def test_scores_read_the_numbers_that_codes_stand_for(weight: str) -> None:
    graph = capture(load(normed(weight, "bb = Identity(fc)")))
    values = scores.get("l2")(reads=True)(couple(graph))["a"]
    codes = TABLES["kb"] if weight == CODED else np.rint(TABLES["fb"] / TABLES["sb"].reshape(5, 1, 1, 1))
    read = np.clip(codes, -128, 127) * TABLES["sb"].reshape(5, 1, 1, 1)
    want = np.linalg.norm(TABLES["wa"].reshape(8, -1), axis=1) + np.linalg.norm(read[:, :, 0, 0], axis=0)
    np.testing.assert_allclose(values, want, rtol=1e-5)


def test_a_bias_in_codes_is_never_changed_and_a_plain_one_takes_the_mean() -> None:
    coded, plain = (
        pp.prune(normed(CODED, bias), budget="macs=0.6", score="variance")
        for bias in ("bb = DequantizeLinear<axis=0>(kc, sc)", "bb = Identity(fc)")
    )
    assert not coded.plan.shifts
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in coded.model.graph.initializer}
    np.testing.assert_array_equal(kept["kc"], TABLES["kc"])
    assert not plain.plan.shifts, "a computed bias is nothing to write to either"
    model = normed(CODED, "")
    model.graph.node[-1].input[2] = "fc"
    model.graph.initializer.append(numpy_helper.from_array(TABLES["fc"], "fc"))
    direct = pp.prune(model, budget="macs=0.6", score="variance")
    assert list(direct.plan.shifts) == ["fc"]


def test_what_a_bias_in_codes_cannot_take_is_told() -> None:
    graph = capture(load(normed(CODED, "bb = DequantizeLinear<axis=0>(kc, sc)")))
    coupling = couple(graph)
    found = compensate(coupling, plan_for(coupling, {"a": np.array([1, 4])}))
    assert not found.plan.shifts
    assert [reason.partition(":")[0] for reason in found.unrepaired.values()] == ["nowhere to put it"]


@pytest.mark.parametrize("weight", [CODED, DRAWN])
def test_weights_in_codes_and_weights_that_are_quantised_on_the_way_are_cut(weight: str) -> None:
    graph, small, _ = round_trip(load(normed(weight, "bb = DequantizeLinear<axis=0>(kc, sc)")))
    assert not foreign(graph)
    name = "kb" if weight == CODED else "fb"
    assert small.params[name].shape == (5, 6, 1, 1)
    assert small.params["sb"].shape == (5,)


def exported_mobilenet(folder: Path) -> onnx.ModelProto:
    """torchvision's, narrow and with drawn weights, as torch writes it and the runtime's tool prepares it."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    net = models.mobilenet_v2(weights=None, width_mult=0.35, num_classes=20)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            net(torch.randn(8, 3, 32, 32))
        net.classifier[1].weight.mul_(20)
        file = BytesIO()
        sample = torch.randn(1, 3, 32, 32)
        torch.onnx.export(net.eval(), (sample,), file, input_names=["x"], dynamo=True, verbose=False)
    (folder / "torch.onnx").write_bytes(file.getvalue())
    quantization.shape_inference.quant_pre_process(
        folder / "torch.onnx", folder / "ready.onnx", skip_symbolic_shape=True
    )
    return onnx.load(folder / "ready.onnx")


def test_a_quantised_mobilenet_is_halved_and_computes_what_is_masked(tmp_path: Path) -> None:
    model = quantised(exported_mobilenet(tmp_path), tmp_path, (1, 3, 32, 32), per_channel=True)
    graph = capture(load(model))
    assert not foreign(graph)
    groups = couple(graph).groups
    assert sum(group.prunable for group in groups) == 25
    assert [str(group.pins[0]) for group in groups if not group.prunable] == ["model output 'linear'"]
    result = pp.prune(model, budget="macs=0.5", score="l2", align=8)
    assert result.report.after.macs <= 0.5 * result.report.before.macs
    assert_masked_is_pruned(model, result.model, result.plan)


def test_a_step_for_every_block_pins_and_says_so() -> None:
    text = """
    (float[2,6] x) => (float[2,5] y) {
      a = MatMul(x, wa)
      wb = DequantizeLinear<axis=0, block_size=4>(kb, sb)
      y = MatMul(a, wb)
    }"""
    arrays = {"wa": weights(6, 8), "kb": TABLES["kb"].reshape(8, 5), "sb": np.full((2, 5), 0.1, np.float32)}
    groups = couple(capture(load(build(text, arrays, opset=21)))).groups
    assert {pin.reason for group in groups for pin in group.pins} == {
        "operator 'DequantizeLinear': a step for every 4 entries"
    }
