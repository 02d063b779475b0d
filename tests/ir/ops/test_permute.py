"""Transpositions in every spelling."""

from __future__ import annotations

import numpy as np
import pytest

from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (-1, 1, 0)])
def test_torch_permute(order: tuple[int, ...]) -> None:
    probe = probe_aten("permute.default", data(2, 3, 4), list(order))
    assert probe.rule.results[0][0] is probe.rule.operands[0][order[0]]  # type: ignore[index]


@pytest.mark.parametrize(("one", "other"), [(0, 1), (-1, 0), (2, 2)])
def test_torch_transpose(one: int, other: int) -> None:
    probe_aten("transpose.int", data(2, 3, 4), one, other)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4)])
def test_torch_t(shape: tuple[int, ...]) -> None:
    probe_aten("t.default", data(*shape))
    probe_aten("permute.default", data(), [])


@pytest.mark.parametrize("opset", [7, 13, 25])
def test_onnx_transpose_reverses_unless_told(opset: int) -> None:
    assert probe_onnx("Transpose", opset, [data(2, 3, 4)]).call.results == ((4, 3, 2),)
    probe_onnx("Transpose", opset, [data(2, 3, 4)], {"perm": [1, 0, 2]})


def test_whole_numbers_are_moved_as_they_are() -> None:
    probe = probe_aten("transpose.int", np.arange(6).reshape(2, 3), 0, 1)
    assert probe.op.run(probe.call, probe.arrays)[0].dtype == np.int64
