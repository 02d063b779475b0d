"""Pooling over windows in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Sampler, UnsupportedError, registry
from tests.law import free_atoms, solved
from tests.probe import assert_bound, data, probe_aten, probe_onnx

# (shape, kernel, stride, padding, dilation, ceil_mode)
MAX: list[tuple[Any, ...]] = [
    ((2, 3, 9), [3], [2], [1], [1], False),
    ((2, 3, 8), [3], [], [1], [2], True),
    ((2, 3, 8, 7), [3, 2], [2, 1], [1, 1], [1, 1], False),
    ((2, 3, 8, 7), [2, 3], [3, 2], [1, 0], [1, 2], True),
    ((3, 8, 7), [2, 2], [], [0, 0], [1, 1], True),
    ((1, 1, 7, 7), [3], [2], [1], [1], True),
    ((1, 2, 5, 4, 6), [2, 2, 3], [2, 1, 2], [1, 0, 1], [1, 1, 1], False),
]


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation", "ceil"), MAX)
def test_torch_max_pool(
    shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> None:
    rank = 2 if shape == (3, 8, 7) else len(shape) - 2
    args = (data(*shape), kernel, stride, padding, dilation, ceil)
    assert_bound(probe_aten(f"max_pool{rank}d.default", *args))
    probe = probe_aten(f"max_pool{rank}d_with_indices.default", *args)
    assert len(probe.rule.results) == 2


# (shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
AVERAGE: list[tuple[Any, ...]] = [
    ((2, 3, 9), [3], [2], [1], False, True, None),
    ((2, 3, 8), [3], [2], [1], True, False, None),
    ((2, 3, 8, 7), [3, 2], [2, 1], [1, 1], False, True, None),
    ((2, 3, 8, 7), [3, 3], [3, 2], [1, 1], True, True, None),
    ((2, 3, 8, 7), [3, 3], [3, 2], [1, 1], True, False, None),
    ((2, 3, 8, 7), [3, 3], [], [1, 1], True, False, 4),
    ((3, 8, 7), [2], [], [0], False, True, None),
    ((1, 2, 5, 4, 6), [2, 2, 3], [2, 1, 2], [1, 0, 1], True, True, None),
    ((1, 2, 5, 4, 6), [2, 2, 3], [2, 1, 2], [1, 1, 1], True, False, 7),
]


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "ceil", "counted", "divisor"), AVERAGE)
def test_torch_average_pool(
    shape: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, counted: bool, divisor: int | None
) -> None:
    rank = 2 if shape == (3, 8, 7) else len(shape) - 2
    tail = () if rank == 1 else (divisor,)
    assert_bound(
        probe_aten(f"avg_pool{rank}d.default", data(*shape), kernel, stride, padding, ceil, counted, *tail)
    )


WINDOWS: list[dict[str, Any]] = [
    {"kernel_shape": [2, 3]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 2]},
    {"kernel_shape": [3, 2], "strides": [2, 3], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [3, 2], "auto_pad": "VALID", "strides": [2, 1]},
]
CEILED: list[dict[str, Any]] = [
    {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
]
DILATED: list[dict[str, Any]] = [
    {"kernel_shape": [2, 3], "dilations": [2, 1], "strides": [1, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [2, 2], "dilations": [2, 3], "ceil_mode": 1, "strides": [2, 2]},
]


@pytest.mark.parametrize("attrs", WINDOWS)
def test_onnx_pools_of_every_opset(attrs: dict[str, Any]) -> None:
    x = data(2, 3, 8, 7)
    for opset in (7, 10, 12, 22):
        probe_onnx("MaxPool", opset, [x], attrs)
        probe_onnx("AveragePool", opset, [x], attrs)
        probe_onnx("AveragePool", opset, [x], {**attrs, "count_include_pad": 1})
    for opset in (7, 11, 18, 22):
        assert_bound(probe_onnx("LpPool", opset, [x], attrs))
        probe_onnx("LpPool", opset, [x], {**attrs, "p": 3})


@pytest.mark.parametrize("attrs", CEILED)
def test_onnx_windows_that_are_rounded_up(attrs: dict[str, Any]) -> None:
    x = data(2, 3, 8, 7)
    for opset in (10, 12, 19, 22):
        probe_onnx("MaxPool", opset, [x], attrs)
        probe_onnx("AveragePool", opset, [x], attrs)
    probe_onnx("AveragePool", 22, [x], {**attrs, "count_include_pad": 1})
    probe_onnx("LpPool", 18, [x], attrs)


@pytest.mark.parametrize("attrs", DILATED)
def test_onnx_windows_with_holes(attrs: dict[str, Any]) -> None:
    x = data(2, 3, 8, 7)
    probe_onnx("MaxPool", 10, [x], attrs)
    probe_onnx("AveragePool", 19, [x], attrs)
    probe_onnx("AveragePool", 22, [x], {**attrs, "count_include_pad": 1})
    probe_onnx("LpPool", 18, [x], attrs)


def test_onnx_pools_in_one_and_three_dims() -> None:
    probe_onnx("MaxPool", 12, [data(2, 3, 9)], {"kernel_shape": [3], "pads": [0, 2], "strides": [2]})
    probe_onnx("AveragePool", 12, [data(1, 2, 4, 5, 6)], {"kernel_shape": [2, 2, 3]})


@pytest.mark.parametrize("order", [0, 1])
def test_onnx_indices_pin_what_they_count(order: int) -> None:
    attrs = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [1, 0, 0, 1], "storage_order": order}
    probe = probe_onnx("MaxPool", 12, [data(2, 3, 5, 4)], attrs, outputs=2)
    assert not free_atoms(probe.rule, solved(probe.rule))


def test_whole_numbers_are_pooled_too() -> None:
    x = np.arange(-30, 30, dtype=np.int8).reshape(1, 3, 4, 5)
    probe_onnx("MaxPool", 12, [x], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]})


def test_windows_over_the_channel_pin_it_with_a_reason() -> None:
    probe = probe_aten("avg_pool2d.default", data(1, 1, 6, 5), [3, 1], [1, 1])
    dims = probe.rule.operands[0]
    assert dims is not None
    assert "slides" in str(dims[2].pins[0])  # type: ignore[union-attr]


def test_moments_of_an_average_are_those_of_what_is_alike() -> None:
    samples = (Sampler().normal(data(1, 3, 1, 1), np.ones((1, 3, 1, 1))),)
    plain = probe_aten("avg_pool2d.default", data(1, 3, 6, 6), [2, 2])
    tripled = probe_aten("avg_pool2d.default", data(1, 3, 6, 6), [3, 2], [], [0, 0], False, True, 2)
    for probe, factor in ((plain, 1.0), (tripled, 3.0)):
        (moments,) = probe.op.flow.moments(probe.op, probe.call, samples, Sampler())
        assert moments is not None
        np.testing.assert_allclose(moments, samples[0] * factor)


def test_windows_larger_than_the_space_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        registry()["max_pool"].rule(Call({"kernel": (5, 5), "stride": (1, 1)}, ((1, 2, 3, 3),)))
