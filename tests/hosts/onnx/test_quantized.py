"""Models with quantised weights and data: channels pass through codes, and codes are only ever sliced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from prunepass.passes import Plan, couple
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
