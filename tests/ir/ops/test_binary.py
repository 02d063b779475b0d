"""Arithmetic, comparison and logic of several operands in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Call, UnsupportedError, registry
from tests.probe import assert_bound, assert_pointwise_moments, data, probe_aten, probe_onnx

X, Y = data(2, 3, 4, low=0.2, high=2.0), data(3, 4, seed=1, low=0.3, high=1.5)
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (3, 1)),
    ((4,), (2, 3, 4)),
    ((2, 1, 4), (1, 3, 1)),
    ((1,), (1, 1)),
    ((0, 3), (3,)),
    ((3,), ()),
]
ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}


@pytest.mark.parametrize("name", ARITHMETIC)
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_arithmetic_broadcasts(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = data(*a, low=0.5, high=2.0), data(*b, seed=1, low=0.5, high=2.0)
    probe = probe_aten(f"{name}.Tensor", left, right)
    probe_onnx(ARITHMETIC[name], 7, [left, right])
    if left.size:
        assert_bound(probe)
        assert_pointwise_moments(probe)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "remainder", "fmod", "eq", "ne", "lt", "le", "gt", "ge"]
)
def test_a_number_is_an_operand(name: str) -> None:
    probe_aten(f"{name}.Scalar", X, 0.75)


@pytest.mark.parametrize("name", ["add", "sub"])
def test_alpha_scales_the_second_operand(name: str) -> None:
    assert_bound(probe_aten(f"{name}.Tensor", X, Y, alpha=-2.5))
    probe_aten(f"{name}.Scalar", X, 0.5, 3)


WHOLE = np.array([[7, -7, 5], [-8, 8, 0]], np.int32), np.array([[2, 2, -3], [3, -3, 4]], np.int32)


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
@pytest.mark.parametrize("kind", ["float", "whole"])
def test_torch_quotients_round_as_told(mode: str | None, kind: str) -> None:
    a, b = WHOLE if kind == "whole" else (data(3, 4) * 5, data(3, 4, seed=1))
    probe_aten("div.Tensor_mode", a, b, rounding_mode=mode)
    probe_aten("div.Scalar_mode", a, 2, rounding_mode=mode)


def test_quotients_of_whole_numbers() -> None:
    a, b = WHOLE
    probe_aten("div.Tensor", a, b)
    probe_aten("floor_divide.default", a, b)
    probe_aten("remainder.Tensor", a, b)
    probe_aten("fmod.Tensor", a, b)
    probe_onnx("Div", 14, [a, b])
    probe_onnx("Mod", 13, [a, b])
    probe_onnx("Mod", 13, [a, b], {"fmod": 1})
    probe_onnx("Mod", 10, [X, Y], {"fmod": 1})
    probe_aten("remainder.Tensor", data(3, 4) * 5, data(3, 4, seed=1))


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("pow.Tensor_Scalar", (X, 2)),
        ("pow.Tensor_Scalar", (X, -0.5)),
        ("pow.Tensor_Tensor", (X, Y)),
        ("pow.Scalar", (1.5, X)),
        ("pow.Tensor_Scalar", (WHOLE[0], 2)),
        ("pow.Tensor_Scalar", (WHOLE[0].astype(np.float64), 3)),
    ],
)
def test_torch_powers(target: str, args: tuple[Any, ...]) -> None:
    probe_aten(target, *args)


@pytest.mark.parametrize("exponent", [data(3, 4, low=0.5, high=2.0), np.array(2.0), np.array([-0.5])])
def test_onnx_powers(exponent: Array) -> None:
    probe_onnx("Pow", 7, [X, exponent])
    probe_onnx("Pow", 15, [X, exponent])


def test_onnx_powers_keep_the_type_of_the_base() -> None:
    probe = probe_onnx("Pow", 13, [abs(WHOLE[0]), np.array([0.5, 2.0, 2.0])])
    assert probe.op.run(probe.call, probe.arrays)[0].dtype == np.dtype(np.int32)


def test_a_normalisation_that_is_spelled_out_has_magnitude_near_one() -> None:
    squares = probe_aten("pow.Tensor_Scalar", X, 2)
    (magnitude,) = squares.magnitude(X, np.array(2.0))
    np.testing.assert_allclose(magnitude, X**2)
    inverse = probe_aten("pow.Tensor_Scalar", X, -0.5)
    np.testing.assert_allclose(inverse.magnitude(X * 0, np.array(0.5))[0], 1.0)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "logaddexp"])
def test_torch_pairs(name: str) -> None:
    assert_pointwise_moments(probe_aten(f"{name}.default", data(2, 3, 4), data(3, 4, seed=1)))


def test_torch_pairs_under_other_names() -> None:
    a, b = data(2, 3, 4), data(3, 4, seed=1)
    for target in ("max.other", "min.other", "copysign.Tensor", "clamp_min.Tensor", "clamp_max.Tensor"):
        probe_aten(target, a, b)


@pytest.mark.parametrize("kind", ["Max", "Min", "Sum", "Mean"])
def test_onnx_operators_of_any_number_of_inputs(kind: str) -> None:
    for inputs in (
        [data(2, 3)],
        [data(2, 3), data(3, seed=1)],
        [data(2, 3), data(2, 1, seed=1), data(1, seed=2)],
    ):
        assert_pointwise_moments(probe_onnx(kind, 8, inputs))
        assert_pointwise_moments(probe_onnx(kind, 13, inputs))


@pytest.mark.parametrize(
    ("name", "kind", "opset"),
    [
        ("eq", "Equal", 11),
        ("ne", "", 0),
        ("lt", "Less", 9),
        ("le", "LessOrEqual", 12),
        ("gt", "Greater", 9),
        ("ge", "GreaterOrEqual", 16),
    ],
)
def test_comparisons(name: str, kind: str, opset: int) -> None:
    a, b = np.round(data(2, 3, 4) * 2), np.round(data(3, 4, seed=1) * 2)
    probe_aten(f"{name}.Tensor", a, b)
    if kind:
        probe_onnx(kind, opset, [a, b])


@pytest.mark.parametrize(("name", "kind"), [("and", "And"), ("or", "Or"), ("xor", "Xor")])
def test_logic_and_bits(name: str, kind: str) -> None:
    flags, other = np.array([[True, False, True, False]]), np.array([[True], [False]])
    probe_aten(f"logical_{name}.default", flags, other)
    probe_aten(f"bitwise_{name}.Tensor", flags, other)
    probe_aten(f"bitwise_{name}.Tensor", *WHOLE)
    probe_aten(f"bitwise_{name}.Scalar", WHOLE[0], 3)
    probe_onnx(kind, 7, [flags, other])
    probe_onnx(f"Bitwise{kind}", 18, list(WHOLE))


def test_shifts_of_bits() -> None:
    a, b = np.array([[1, 5, 9]], np.int32), np.array([[2, 1, 3]], np.int32)
    probe_aten("bitwise_left_shift.Tensor", a, b)
    probe_aten("bitwise_right_shift.Tensor_Scalar", a, 1)
    for direction in ("LEFT", "RIGHT"):
        probe_onnx("BitShift", 11, [a.astype(np.uint32), b.astype(np.uint32)], {"direction": direction})


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="do not broadcast"):
        registry()["add"].rule(Call({}, ((2, 3), (4,))))


def test_an_axis_that_is_broadcast_does_not_tie_its_single_entry() -> None:
    rule = registry()["add"].rule(Call({}, ((2, 3), (1, 3))))
    assert rule.operands[0] == rule.results[0]
    assert rule.operands[1] is not None
    assert rule.operands[1][1] is rule.results[0][1]
    assert rule.operands[1][0].size == 1
