"""Triangles, running sums and sorting in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Fixed, Sampler
from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize("diagonal", [-1, 0, 2])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 3)])
def test_torch_triangles(diagonal: int, shape: tuple[int, ...]) -> None:
    for name in ("tril", "triu"):
        dims = probe_aten(f"{name}.default", data(*shape), diagonal).rule.results[0]
        assert all(isinstance(dim, Fixed) for dim in dims[-2:])


@pytest.mark.parametrize("upper", [0, 1])
def test_onnx_triangles(upper: int) -> None:
    probe_onnx("Trilu", 14, [data(2, 3, 4)], {"upper": upper})
    probe_onnx("Trilu", 14, [data(3, 4), np.array(-1, np.int64)], {"upper": upper})


def test_samples_of_a_triangle_fill_its_axes() -> None:
    probe = probe_aten("tril.default", data(2, 3, 3), 0)
    (moved,) = probe.op.flow.moments(probe.op, probe.call, (np.full((4, 2, 1, 1), 2.0),), Sampler())
    assert moved is not None
    np.testing.assert_array_equal(moved, np.tril(np.full((4, 2, 3, 3), 2.0)))
    assert probe.op.flow.moments(probe.op, probe.call, (None,), Sampler()) == (None,)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_torch_running_results(name: str, axis: int) -> None:
    probe_aten(f"{name}.default", data(3, 4), axis)
    whole = probe_aten(f"{name}.default", np.array([True, False, True]), 0)
    assert whole.op.run(whole.call, whole.arrays)[0].dtype == np.int64
    probe_aten(f"{name}.default", data(), 0)


def test_torch_running_sum_in_another_dtype() -> None:
    import torch

    probe = probe_aten("cumsum.default", np.arange(4), 0, dtype=torch.float32)
    assert probe.op.run(probe.call, probe.arrays)[0].dtype.kind == "f"


@pytest.mark.parametrize("attrs", [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}])
@pytest.mark.parametrize("opset", [11, 14])
def test_onnx_running_sum(attrs: dict[str, Any], opset: int) -> None:
    probe = probe_onnx("CumSum", opset, [data(3, 4), np.array(-1, np.int64)], attrs)
    assert isinstance(probe.rule.results[0][0], Atom) and isinstance(probe.rule.results[0][1], Fixed)


def tied() -> Array:
    return np.array([[3.0, 1.0, 3.0, 2.0], [0.0, 0.0, 5.0, 5.0]])


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_torch_sorts_keep_equal_entries_in_order(descending: bool, axis: int) -> None:
    probe_aten("sort.stable", tied(), stable=True, dim=axis, descending=descending)
    probe_aten("argsort.stable", tied(), stable=True, dim=axis, descending=descending)
    probe_aten("sort.default", data(3, 4), axis, descending)
    probe_aten("argsort.default", data(3, 4), axis, descending)
    probe_aten("sort.default", data(), -1, descending)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(("axis", "count"), [(0, 2), (-1, 4), (1, 1), (1, 0)])
def test_torch_topk(largest: bool, axis: int, count: int) -> None:
    probe = probe_aten("topk.default", data(3, 4), count, axis, largest)
    assert isinstance(probe.rule.operands[0][axis], Fixed)  # type: ignore[index]
    probe_aten("topk.default", data(), 1, -1, largest)


def test_onnx_topk_takes_its_count_as_attribute_and_as_input() -> None:
    x, count = data(3, 4), np.array([2], np.int64)
    probe_onnx("TopK", 7, [x], {"k": 2, "axis": 1}, outputs=2)
    probe_onnx("TopK", 10, [x, count], outputs=2)
    probe_onnx("TopK", 11, [x, count], {"largest": 0, "axis": 0}, outputs=2)


def test_any_entry_may_land_anywhere() -> None:
    probe = probe_aten("sort.default", tied(), -1, False)
    np.testing.assert_array_equal(probe.magnitude()[0], [[3.0] * 4, [5.0] * 4])
