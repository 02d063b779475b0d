"""Entries written by an index, in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, UnsupportedError
from tests.law import occurrences
from tests.probe import data, probe_aten, probe_onnx


def distinct(*shape: int, below: int, axis: int) -> Array:
    """Indices that differ along ``axis``, so that no entry is written twice."""
    rng = np.random.default_rng(0)
    order = rng.permuted(np.broadcast_to(np.arange(below), (*np.delete(shape, axis), below)), axis=-1)
    return np.moveaxis(order[..., : shape[axis]], -1, axis)


@pytest.mark.parametrize("shape", [(3, 4, 2), (3, 2, 2), (2, 3, 1)])
def test_torch_scatter_along_an_axis(shape: tuple[int, ...]) -> None:
    x, places, source = data(3, 4, 2), distinct(*shape, below=4, axis=1), data(3, 4, 2, seed=1)
    probe_aten("scatter.src", x, 1, places, source)
    probe_aten("scatter.value", x, -2, places, 0.5)
    repeated = places % 2
    probe_aten("scatter_add.default", x, 1, repeated, source)
    for reduction in ("sum", "prod", "amax", "amin"):
        probe_aten("scatter_reduce.two", x, 1, repeated, source, reduction)


def test_a_mean_or_a_fresh_start_is_refused() -> None:
    x, places = data(3, 4), distinct(3, 2, below=4, axis=1)
    for args in (("mean",), ("sum",)):
        with pytest.raises(UnsupportedError, match="scatter with reduction"):
            probe_aten("scatter_reduce.two", x, 1, places, x, *args, include_self=False)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_onnx_scatter_elements(axis: int) -> None:
    x, places, new = data(3, 3), distinct(3, 3, below=3, axis=axis), data(3, 3, seed=1)
    probe_onnx("Scatter", 9, [x, places, new], {"axis": axis % 2})
    for opset in (11, 13, 18):
        probe_onnx("ScatterElements", opset, [x, places - 3, new], {"axis": axis})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_onnx_scatters_reduce(reduction: str) -> None:
    places = distinct(2, 3, below=3, axis=0)
    probe_onnx("ScatterElements", 18, [data(3, 3), places, data(2, 3, seed=1)], {"reduction": reduction})
    coordinates = np.array([[0, 1], [2, -1]], np.int64)
    inputs: list[Array | None] = [data(3, 4, 2), coordinates, data(2, 2, seed=1)]
    probe_onnx("ScatterND", 18, inputs, {"reduction": reduction})


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("places", [[[0], [2]], [[[1], [-1]]], [[0, 1]]])
def test_onnx_scatter_nd(opset: int, places: Any) -> None:
    coordinates = np.array(places, np.int64)
    new = data(*coordinates.shape[:-1], *(3, 4, 2)[coordinates.shape[-1] :], seed=1)
    rule = probe_onnx("ScatterND", opset, [data(3, 4, 2), coordinates, new]).rule
    assert {count for leaf, count in occurrences(rule).items() if leaf.size == 2} == {3}


I, J = np.array([2, 0]), np.array([1, 3])  # noqa: E741
PUTS: list[tuple[Any, tuple[int, ...]]] = [
    ((I,), (2, 4, 2)),
    ((I,), (4, 2)),
    ((I,), ()),
    ((I, J), (2, 2)),
    ((None, J), (3, 2, 2)),
    ((None, J), (2, 1)),
    ((I, None, np.array([0, 1])), (2, 4)),
    ((np.array(1), np.array(2)), (2,)),
    ((np.array([True, False, True]),), (2, 4, 2)),
]


@pytest.mark.parametrize(("places", "values"), PUTS)
@pytest.mark.parametrize("accumulate", [False, True])
def test_torch_index_put(places: Any, values: tuple[int, ...], accumulate: bool) -> None:
    for target in ("index_put.default", "_unsafe_index_put.default"):
        probe_aten(target, data(3, 4, 2), list(places), data(*values, seed=1), accumulate)


def test_axes_that_are_not_written_by_index_are_shared() -> None:
    rule = probe_aten("index_put.default", data(3, 4), [I], data(2, 4, seed=1)).rule
    assert rule.operands[0][1] is rule.operands[1][1] is rule.results[0][1]  # type: ignore[index]
    assert "written by an index" in str(rule.operands[0][0].pins[0])  # type: ignore[index, union-attr]
