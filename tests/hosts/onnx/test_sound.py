"""Models whose nodes do not take what they are given, and tensors that are not what is said of them: found at once."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto

import prunepass as pp
from prunepass.hosts.onnx import _sound, load
from prunepass.hosts.onnx._sound import outline
from prunepass.ir import Array, ModelError, PrunepassError, UnsupportedError
from tests.hosts.onnx.models import build, weights

Change = Callable[[onnx.ModelProto], None]

NET = """(float[N,3,8,8] x) => (float[N,5] y) {
    a = Conv<pads=[1,1,1,1]>(x, w, b)
    n = BatchNormalization(a, s, t, m, v)
    p = GlobalAveragePool(n)
    f = Flatten(p)
    y = Gemm<transB=1>(f, u, c)
}"""
SHAPES = {"w": (8, 3, 3, 3), "b": (8,), "s": (8,), "t": (8,), "m": (8,), "u": (5, 8), "c": (5,)}


def net() -> onnx.ModelProto:
    arrays = {name: weights(*shape) for name, shape in SHAPES.items()}
    return build(NET, {**arrays, "v": np.ones(8, np.float32)})


def _replaced(name: str, array: Array) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))

    return change


def _attribute(node: int, **values: Any) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        del proto.graph.node[node].attribute[:]
        made = [onnx.helper.make_attribute(name, value) for name, value in values.items()]
        proto.graph.node[node].attribute.extend(made)

    return change


MISFITS: Mapping[str, tuple[Change, str]] = {
    "weight of another type": (
        _replaced("w", weights(8, 3, 3, 3).astype(np.float64)),
        "a: .*inconsistent type",
    ),
    "weight of codes": (_replaced("u", np.ones((5, 8), np.int8)), "y: .*type"),
    "half a weight": (_replaced("u", np.ones((5, 8), np.float16)), "y: .*inconsistent type"),
    "swapped sizes": (_replaced("u", weights(8, 5)), "y: "),
    "scale of another size": (_replaced("s", weights(7)), "n: "),
    "bias of another size": (
        _replaced("b", weights(7)),
        r"a: the bias of 'conv' has shape \(7,\).*ask for \(8,\)",
    ),
    "bias of another rank": (_replaced("b", weights(8, 1)), "a: "),
    "pads for one side": (_attribute(0, pads=[1, 1]), "a: .*pads"),
    "negative pads": (_attribute(0, pads=[-3, 0, 0, 0]), "a: "),
    "an axis that is not there": (_attribute(3, axis=9), "f: .*axis"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_operands_that_do_not_fit_are_refused_with_the_node_and_what_does_not_fit(case: str) -> None:
    proto = net()
    MISFITS[case][0](proto)
    with pytest.raises(ModelError, match=MISFITS[case][1]) as caught:
        pp.capture(proto)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError):
        pp.prune(proto, score="l2")


def _tensor(at: int, **values: Any) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        tensor = proto.graph.initializer[at]
        for name, value in values.items():
            if name == "dims":
                del tensor.dims[:]
                tensor.dims.extend(value)
            elif name == "external":
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                for key, text in value.items():
                    tensor.external_data.add(key=key, value=text)
            else:
                setattr(tensor, name, value)

    return change


def _sizes(*sizes: int) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        dims = proto.graph.input[0].type.tensor_type.shape.dim
        del dims[:]
        for size in sizes:
            dims.add().dim_value = size

    return change


def _unnamed(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.add(data_type=TensorProto.FLOAT, dims=[1], raw_data=b"1234")


def _renamed(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = "a\nb"


IMPOSSIBLE: Mapping[str, tuple[Change, str]] = {
    "negative size": (_tensor(0, dims=(-8, -3, 3, 3)), "'w' has a negative size"),
    "size beyond all": (_tensor(0, dims=(2**40, 0)), "'w' has a size of 1099511627776"),
    "nothing in large sizes": (_tensor(0, dims=(2**30, 0), raw_data=b""), "'w' is empty and has sizes"),
    "too many dims": (_tensor(0, dims=(*(1,) * 128, 8, 3, 3, 3)), "'w' has 132 dims"),
    "unknown type": (_tensor(0, data_type=99), "'w' has the unknown type 99"),
    "no type": (_tensor(0, data_type=0), "'w'"),
    "no name": (_unnamed, "an initializer has no name"),
    "a line break in a name": (_renamed, r"the name 'a\\nb' holds control characters"),
    "bytes of another type": (
        _tensor(0, data_type=TensorProto.INT64),
        "'w' holds 864 bytes, its shape needs 1728",
    ),
    "too few bytes": (_tensor(0, raw_data=b"12"), "'w' holds 2 bytes"),
    "misspelt offset": (
        _tensor(0, external={"location": "w.bin", "ofdset": "8"}),
        "'ofdset', which nobody knows",
    ),
    "no file": (_tensor(0, external={"offset": "8"}), "lies in no file"),
    "offset in words": (
        _tensor(0, external={"location": "w.bin", "offset": "many"}),
        "the offset .* is 'many'",
    ),
    "negative offset": (_tensor(0, external={"location": "w.bin", "offset": "-4"}), "the offset .* is '-4'"),
    "negative input": (_sizes(-7, 3, 8, 8), "'x' has a negative size"),
    "input beyond all": (_sizes(2**40, 3, 8, 8), "'x' has a size of"),
    "input of many dims": (_sizes(*(1,) * 128), "'x' has 128 dims"),
    "no outputs": (lambda proto: proto.graph.ClearField("output"), "no outputs"),
    "no such operator set": (
        lambda p: setattr(p.opset_import[0], "version", 2**62),
        "there is no operator set",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_sizes_types_and_places_that_cannot_be_are_refused_by_name(case: str, tmp_path: Path) -> None:
    proto = net()
    IMPOSSIBLE[case][0](proto)
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    for source in (tmp_path / "net.onnx", proto):
        with pytest.raises(ModelError, match=IMPOSSIBLE[case][1]) as caught:
            load(source)
        assert "\n" not in str(caught.value)


def test_the_data_of_a_constant_is_looked_at_too() -> None:
    proto = build(
        "(float[2] x) => (float[2] y) { c = Constant<value = float[2] {1.0, 2.0}>()\n y = Add(x, c) }"
    )
    tensor = proto.graph.node[0].attribute[0].t
    tensor.CopyFrom(TensorProto(dims=[2], data_type=TensorProto.FLOAT, raw_data=b"123"))
    with pytest.raises(ModelError, match="attribute 'value' of node 'c' holds 3 bytes, its shape needs 8"):
        load(proto)


def test_what_the_model_says_of_shapes_between_its_nodes_may_be_out_of_date() -> None:
    proto = net()
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 99, 8, 8]))
    dims = proto.graph.output[0].type.tensor_type.shape.dim
    dims[1].dim_value = 99
    assert pp.capture(proto).values["y"].shape == (1, 5)


def test_what_onnx_runtime_accepts_is_right_and_without_it_the_format_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proto = net()
    MISFITS["swapped sizes"][0](proto)
    model = ir.from_proto(proto)
    monkeypatch.setattr(_sound, "_runtime_accepts", lambda outline: True)
    _sound.check_types(model)
    monkeypatch.undo()
    plain = builtins.__import__

    def no_runtime(name: str, *args: Any, **more: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return plain(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", no_runtime)
    with pytest.raises(ModelError, match="y: its operands do not fit"):
        _sound.check_types(model)
    _sound.check_types(ir.from_proto(net()))


def test_the_outline_of_a_model_holds_no_weights() -> None:
    proto = build("(float[N,1000] x) => (float[N,1000] y) { y = MatMul(x, w) }", {"w": weights(1000, 1000)})
    assert outline(load(proto)).ByteSize() < 1000


def test_what_its_own_engine_does_not_run_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*args: object) -> None:
        raise AssertionError("the work began")

    proto = build(
        "(float[1,3,8,8] x) => (float[1,4,8,8] y) { d = DequantizeLinear<axis=9>(q, s, z)\n y = Conv(x, d) }",
        {"q": np.ones((4, 3, 1, 1), np.int8), "s": np.ones(4, np.float32), "z": np.zeros(4, np.int8)},
    )
    monkeypatch.setattr("prunepass._prune.driven", work)
    with pytest.raises(PrunepassError) as caught:
        pp.prune(proto, score="l2")
    assert caught.value.exit_code == UnsupportedError.exit_code
    assert "before any cut" in caught.value.advice
