"""Layers that engines compute with codes: told apart from those with numbers, measured as such, with a grain of
their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import prunepass as pp
from prunepass.hosts import open_model
from prunepass.hosts.onnx import load
from prunepass.ir import Graph
from prunepass.passes import Layer, layers_of
from prunepass.passes.cost import engine_cost
from prunepass.passes.cost._kinds import codes_of, codes_read, dtype_of
from prunepass.targets._parts import Bench
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase

CHANNELS = 192


def net(*, whole: bool = True) -> onnx.ModelProto:
    """Three layers of points between codes, in QDQ form; not ``whole``: the second reads numbers."""
    rng = np.random.default_rng(0)
    node, nodes, weights = helper.make_node, list[Any](), dict[str, Any]()

    def coded(source: str, name: str) -> str:
        nodes.append(node("QuantizeLinear", [source, "step", "middle"], [f"{name}.codes"], f"{name}.q"))
        nodes.append(
            node("DequantizeLinear", [f"{name}.codes", "step", "middle"], [f"{name}.back"], f"{name}.dq")
        )
        return f"{name}.back"

    def conv(source: str, name: str, shape: tuple[int, ...]) -> str:
        weights[f"{name}.w"] = rng.integers(-99, 99, shape).astype(np.int8)
        weights[f"{name}.b"] = rng.integers(-999, 999, shape[:1]).astype(np.int32)
        nodes.append(node("DequantizeLinear", [f"{name}.w", "step", "zero"], [f"{name}.wd"], f"{name}.w.dq"))
        nodes.append(node("DequantizeLinear", [f"{name}.b", "step"], [f"{name}.bd"], f"{name}.b.dq"))
        nodes.append(node("Conv", [source, f"{name}.wd", f"{name}.bd"], [f"{name}.out"], name))
        nodes.append(node("Relu", [f"{name}.out"], [f"{name}.r"], f"{name}.relu"))
        return f"{name}.r"

    first = conv(coded("x", "given"), "one", (CHANNELS, 3, 1, 1))
    second = conv(coded(first, "one") if whole else first, "two", (CHANNELS, CHANNELS, 1, 1))
    last = conv(coded(second, "two"), "three", (5, CHANNELS, 1, 1))
    nodes[-1].output[0] = "y"
    assert last == "three.r"
    weights |= {"step": np.float32(0.02), "middle": np.uint8(128), "zero": np.int8(0)}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 5, 8, 8))],
        [numpy_helper.from_array(np.asarray(data), name) for name, data in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def bench(*, whole: bool = True) -> Bench:
    session = open_model(load(net(whole=whole)))
    return Bench(session, session.graph)


def layer(found: Bench, name: str) -> Layer:
    return next(layer for layer in layers_of(found.coupling) if layer.node.name == name)


def test_a_layer_between_codes_computes_in_the_dtype_of_its_weights() -> None:
    for whole, dtype in ((True, "int8"), (False, "float32")):
        found = bench(whole=whole)
        two = layer(found, "two")
        assert dtype_of(found.graph, two.node) == two.dtype == dtype
        assert bool(codes_read(found.graph, two.node)) is whole


def test_a_bias_of_numbers_beside_codes_changes_nothing() -> None:
    model = net()
    for node in model.graph.node:
        node.input[:] = ["plain" if name == "two.bd" else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(CHANNELS, np.float32), "plain"))
    session = open_model(load(model))
    assert layer(Bench(session, session.graph), "two").dtype == "int8"


def test_codes_are_known_where_their_numbers_changed_place() -> None:
    model = net()
    at = next(i for i, node in enumerate(model.graph.node) if node.name == "two")
    model.graph.node[at].input[0] = "turned"
    model.graph.node.insert(
        at, helper.make_node("Transpose", ["one.back"], ["turned"], "turn", perm=[0, 1, 3, 2])
    )
    graph = pp.capture(load(model))
    assert codes_of(graph, "turned") == "one.codes"
    assert codes_of(graph, "one.r") is None and codes_of(graph, "x") is None


def test_layers_of_codes_and_of_numbers_are_two_layers() -> None:
    assert layer(bench(), "two").key != layer(bench(whole=False), "two").key


def test_a_part_begins_and_ends_with_codes() -> None:
    found = bench()
    two = layer(found, "two")
    (inside,), (out,) = ([leaf for _, leaves in size for leaf in leaves] for size in two.axes)
    part = onnx.load_from_string(found.part(two, {inside: 64, out: 128}))
    assert [value.name for value in part.graph.input] == ["one.codes"]
    assert [value.name for value in part.graph.output] == ["two.codes"]
    kinds = sorted(node.op_type for node in part.graph.node)
    assert kinds == ["Conv", *["DequantizeLinear"] * 3, "QuantizeLinear", "Relu"]
    with pp.backends.get("onnxruntime").build(part) as engine:
        (made,) = engine.run({"one.codes": np.full((1, 64, 8, 8), 130, np.uint8)}).values()
    assert made.shape == (1, 128, 8, 8) and made.dtype == np.uint8 and len(np.unique(made)) > 1


def test_a_part_of_numbers_reads_numbers() -> None:
    found = bench(whole=False)
    two = layer(found, "two")
    part = onnx.load_from_string(found.part(two, {}))
    assert [(value.name, value.type.tensor_type.elem_type) for value in part.graph.input] == [
        ("one.r", TensorProto.FLOAT)
    ]


def test_bytes_are_those_of_the_codes() -> None:
    codes, numbers = (engine_cost(bench(whole=whole).coupling, 1)["weights"]({}) for whole in (True, False))
    assert codes < 0.5 * numbers


def test_tiles_of_codes_are_the_grain_of_openvino_and_not_of_numbers() -> None:
    for target, step in (("openvino-x86", 64), ("onnxruntime-x86", 16)):
        report = pp.prune(net(), score="l2", target=target, budget="macs=0.5").report
        kept = [row.kept for row in report.groups if not row.pins]
        assert all(width % step == 0 for width in kept) and min(kept) < CHANNELS
        assert any(width % 64 for width in kept) == (step == 16)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunepass.targets._calibrate.compare", clockwork.compare)


def by_tiles(graph: Graph) -> float:
    return staircase(graph, step=64, overhead=0)


@pytest.mark.usefixtures("counted")
def test_calibration_finds_tiles_of_codes_that_are_coarser_than_those_of_numbers(tmp_path: Path) -> None:
    target = pp.calibrate(net(), backend=ClockworkBackend(by_tiles), cache=tmp_path, quick=True)
    assert target.align == 64
