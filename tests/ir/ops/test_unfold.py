"""Sliding windows as entries, and strided views, in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Prod, UnsupportedError, registry
from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize(("axis", "size", "step"), [(1, 2, 1), (-1, 3, 2), (0, 2, 3), (1, 5, 1)])
def test_torch_unfold(axis: int, size: int, step: int) -> None:
    probe_aten("unfold.default", data(3, 5, 4), axis, size, step)


# kernel, dilation, padding, stride
WINDOWS: list[tuple[list[int], list[int], list[int], list[int]]] = [
    ([2, 2], [1, 1], [0, 0], [1, 1]),
    ([3, 2], [1, 2], [1, 0], [2, 1]),
    ([1, 1], [1, 1], [1, 1], [2, 2]),
]


@pytest.mark.parametrize(("kernel", "dilation", "padding", "stride"), WINDOWS)
def test_torch_windows_and_back(kernel: Any, dilation: Any, padding: Any, stride: Any) -> None:
    probe = probe_aten("im2col.default", data(2, 3, 5, 4), kernel, dilation, padding, stride)
    deep, positions = probe.call.results[0][1:]
    probe_aten("im2col.default", data(3, 5, 4), kernel, dilation, padding, stride)
    columns = data(2, deep, positions, seed=1)
    probe_aten("col2im.default", columns, [5, 4], kernel, dilation, padding, stride)
    probe_aten("col2im.default", columns[0], [5, 4], kernel, dilation, padding, stride)


def test_channels_stand_outside_their_windows() -> None:
    rule = probe_aten("im2col.default", data(1, 3, 4, 4), [2, 2], [1, 1], [0, 0], [1, 1]).rule
    deep = rule.results[0][1]
    assert isinstance(deep, Prod) and deep.parts[0] is rule.operands[0][1]  # type: ignore[index]


@pytest.mark.parametrize("attrs", [{}, {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 1, 2]}])
def test_onnx_col2im(attrs: dict[str, Any]) -> None:
    space, kernel = np.array([5, 4], np.int64), np.array([2, 2], np.int64)
    positions = 12 if not attrs else 3 * 4
    probe_onnx("Col2Im", 18, [data(2, 12, positions), space, kernel], attrs)


def test_columns_that_are_no_windows_are_refused() -> None:
    attrs = {
        "kernel": (2, 2),
        "dilation": (1, 1),
        "stride": (1, 1),
        "pads": ((0, 0), (0, 0)),
        "space": (4, 4),
    }
    for shape in ((1, 7, 9), (1, 8, 8)):
        with pytest.raises(UnsupportedError, match="not windows"):
            registry()["columns_to_image"].rule(Call(attrs, (shape,)))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [([2, 3], [1, 2], None), ([3, 3], [4, 0], 1), ([], [], 5), ([2, 2, 2], [1, 1, 1], 0)],
)
def test_a_strided_view_is_pinned(size: list[int], stride: list[int], offset: int | None) -> None:
    rule = probe_aten("as_strided.default", data(3, 4), size, stride, offset).rule
    assert "strides of its own" in str(rule.operands[0][0].pins[0])  # type: ignore[index, union-attr]


@pytest.mark.parametrize("offset", [-5, -1, 0, 2, 4])
@pytest.mark.parametrize("axes", [(0, 1), (-1, 0)])
def test_torch_diagonal(offset: int, axes: tuple[int, int]) -> None:
    shape = (3, 4, 2) if axes == (0, 1) else (4, 2, 3)
    rule = probe_aten("diagonal.default", data(*shape), offset, *axes).rule
    passed = next(dim for axis, dim in enumerate(rule.operands[0] or ()) if axis not in [a % 3 for a in axes])
    assert rule.results[0][0] is passed
