"""Shapes as data, ranges, identities and one-hot codes in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Fixed, UnsupportedError, registry
from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize("args", [(5,), (5.5,), (0,), (np.int64(3).item(),)])
def test_torch_arange(args: tuple[Any, ...]) -> None:
    probe_aten("arange.default", *args)
    probe_aten("arange.start", -2, args[0])
    probe_aten("arange.start_step", 2, args[0] + 4, 3)
    probe_aten("arange.start_step", args[0], -3, -2)


def test_torch_arange_in_another_dtype() -> None:
    import torch

    probe = probe_aten("arange.start_step", 0, 6, 2, dtype=torch.float32)
    assert probe.op.run(probe.call, ())[0].dtype == np.float32
    assert "positions are counted" in str(probe.rule.results[0][0].pins[0])  # type: ignore[union-attr]


@pytest.mark.parametrize("opset", [11, 25])
@pytest.mark.parametrize("bounds", [(0, 5, 1), (2, 9, 3), (5, -2, -2), (3, 3, 1)])
def test_onnx_range(opset: int, bounds: tuple[int, ...]) -> None:
    probe_onnx("Range", opset, [np.array(bound, np.int64) for bound in bounds])
    probe_onnx("Range", opset, [np.array(bound, np.float32) for bound in bounds])


@pytest.mark.parametrize(
    ("attrs", "shape"), [({}, (3, 4)), ({"k": 1}, (3, 3)), ({"k": -1, "dtype": 7}, (2, 4))]
)
def test_onnx_eye_like(attrs: dict[str, int], shape: tuple[int, ...]) -> None:
    probe_onnx("EyeLike", 9, [data(*shape)], attrs)
    probe_onnx("EyeLike", 22, [np.ones(shape, np.int32)], attrs)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_torch_one_hot(shape: tuple[int, ...]) -> None:
    probe_aten("one_hot.default", np.random.default_rng(0).integers(0, 4, shape), 4)


@pytest.mark.parametrize("opset", [9, 11])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_onnx_one_hot(opset: int, axis: int) -> None:
    values, depth = np.array([-1.0, 2.0]), np.array([4], np.int64)
    index = np.array([[0, 3, 1], [2, -1, 0]])
    for places in (index, index.astype(np.int32)):
        rule = probe_onnx("OneHot", opset, [places, depth.astype(places.dtype), values], {"axis": axis}).rule
        assert isinstance(rule.results[0][axis], Fixed)


def test_the_number_of_classes_must_be_known() -> None:
    _, spelling = registry().onnx("OneHot", 11) or (None, None)
    assert spelling is not None and spelling.fix is not None
    with pytest.raises(UnsupportedError, match="'depth' is not constant"):
        spelling.fix({}, ((3,),))


@pytest.mark.parametrize(
    "attrs", [{}, {"start": 1}, {"start": -2, "end": -1}, {"end": 9}, {"start": 3, "end": 1}]
)
def test_onnx_shape(attrs: dict[str, int]) -> None:
    probe = probe_onnx("Shape", 15, [data(2, 3, 4, 5)], attrs)
    (dims,) = probe.rule.operands
    assert dims is not None
    counted = range(4)[attrs.get("start", 0) : attrs.get("end", 4)]
    assert [axis for axis, dim in enumerate(dims) if isinstance(dim, Fixed)] == list(counted)
    assert probe.rule.sized == (0,)
    assert probe.op.run(probe.call, probe.arrays)[0].dtype == np.int64


@pytest.mark.parametrize("opset", [7, 13, 25])
def test_onnx_shape_and_size_of_numbers(opset: int) -> None:
    for x in (data(), data(2, 0), data(2, 3)):
        probe_onnx("Size", opset, [x])
        assert probe_onnx("Shape", opset, [x]).call.results == ((x.ndim,),)


def test_sizes_are_read_without_touching_data() -> None:
    blank = np.broadcast_to(np.zeros(()), (10**6, 10**6))
    call = Call({"start": 0, "end": 2}, (blank.shape,))
    assert registry()["shape"].run(call, (blank,))[0].tolist() == [10**6, 10**6]
    assert registry()["size"].run(call, (blank,))[0] == 10**12
