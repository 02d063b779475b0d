"""Concat, stack, split and unbind in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Sum, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [
        ([(2, 3), (2, 4)], 1),
        ([(2, 3), (2, 4), (2, 1)], -1),
        ([(1, 3), (1, 3)], 0),
        ([(2, 3, 2)], 1),
        ([(0,), (2, 3), (1, 3)], 0),
        ([(2, 0, 3), (2, 4, 3)], -2),
        ([(3,), (0,), (2,)], 0),
    ],
)
def test_torch_cat(shapes: list[tuple[int, ...]], axis: int) -> None:
    probe_aten("cat.default", [data(*shape, seed=i) for i, shape in enumerate(shapes)], axis)


@pytest.mark.parametrize("opset", [7, 11, 13])
@pytest.mark.parametrize("axis", [0, 1])
def test_onnx_concat(opset: int, axis: int) -> None:
    probe_onnx("Concat", opset, [data(2, 3), data(2, 3, seed=1), data(2, 3, seed=2)], {"axis": axis})


def test_shape_arithmetic_is_joined_as_whole_numbers() -> None:
    probe = probe_onnx("Concat", 13, [np.array([2], np.int64), np.array([3, 4], np.int64)], {"axis": -1})
    assert probe.op.run(probe.call, probe.arrays)[0].dtype == np.int64


def test_a_concat_is_the_sum_of_its_parts() -> None:
    rule = probe_aten("cat.default", [data(2, 3), data(2, 4)], 1).rule
    joined = rule.results[0][1]
    assert isinstance(joined, Sum)
    assert joined.parts == (rule.operands[0][1], rule.operands[1][1])  # type: ignore[index]


def test_what_differs_elsewhere_is_not_joined() -> None:
    with pytest.raises(UnsupportedError, match="cannot be joined"):
        registry()["concat"].rule(Call({"axis": 1}, ((2, 3), (3, 3))))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_torch_stack(axis: int) -> None:
    probe_aten("stack.default", [data(2, 3), data(2, 3, seed=1), data(2, 3, seed=2)], axis)
    probe_aten("stack.default", [data(3)], 0)


@pytest.mark.parametrize("sizes", [[1, 2, 3], [6], [0, 6], [5, 1]])
@pytest.mark.parametrize("axis", [1, -2])
def test_torch_split(sizes: list[int], axis: int) -> None:
    for name in ("split_with_sizes", "unsafe_split_with_sizes", "split_with_sizes_copy"):
        probe_aten(f"{name}.default", data(2, 6, 3), sizes, axis)


@pytest.mark.parametrize(
    ("opset", "attribute"), [(7, True), (11, True), (13, False), (18, False), (25, False)]
)
def test_onnx_split_sizes_moved_from_attribute_to_input(opset: int, attribute: bool) -> None:
    x, sizes = data(2, 6), [1, 2, 3]
    given: tuple[Any, Any] = ([x], {"split": sizes}) if attribute else ([x, np.array(sizes, np.int64)], {})
    probe = probe_onnx("Split", opset, given[0], {"axis": 1, **given[1]}, outputs=3)
    assert probe.call.attrs == {"sizes": (1, 2, 3), "axis": 1}


@pytest.mark.parametrize("opset", [7, 13])
def test_onnx_split_is_equal_unless_told(opset: int) -> None:
    assert probe_onnx("Split", opset, [data(6, 2)], outputs=3).call.attrs["sizes"] == (2, 2, 2)


@pytest.mark.parametrize(("count", "sizes"), [(2, (4, 3)), (3, (3, 3, 1)), (4, (2, 2, 2, 1))])
def test_onnx_split_in_a_number_of_parts_leaves_the_rest_to_the_last(count: int, sizes: Any) -> None:
    probe = probe_onnx("Split", 18, [data(7, 2)], {"num_outputs": count}, outputs=count)
    assert probe.call.attrs["sizes"] == sizes


def test_sizes_of_a_split_follow_a_cut() -> None:
    rule = probe_aten("split_with_sizes.default", data(2, 6), [2, 4], 1).rule
    second = next(atoms_of(rule.results[1][1]))
    assert cut_attrs({"sizes": (2, 4)}, rule, lambda dim: dim, {second: np.array([1])}) == {"sizes": (2, 1)}


def test_a_split_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="cannot be split"):
        registry()["split"].rule(Call({"axis": 0, "sizes": (2, 2)}, ((5,),)))


@pytest.mark.parametrize("axis", [0, -1])
def test_torch_unbind(axis: int) -> None:
    probe_aten("unbind.int", data(3, 2, 4), axis)
