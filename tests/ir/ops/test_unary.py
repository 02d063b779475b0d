"""Elementary functions in every spelling."""

from __future__ import annotations

import numpy as np
import pytest

from tests.probe import assert_bound, assert_pointwise_moments, data, probe_aten, probe_onnx

ANY, POSITIVE, INSIDE, ABOVE_ONE = (-3.0, 3.0), (0.1, 3.0), (-0.9, 0.9), (1.1, 3.0)
# (aten, ONNX, first opset, domain)
FLOATS: list[tuple[str, str, int, tuple[float, float]]] = [
    ("erf", "Erf", 9, ANY),
    ("erfc", "", 0, ANY),
    ("exp", "Exp", 7, ANY),
    ("exp2", "", 0, ANY),
    ("expm1", "", 0, ANY),
    ("log", "Log", 7, POSITIVE),
    ("log2", "", 0, POSITIVE),
    ("log10", "", 0, POSITIVE),
    ("log1p", "", 0, POSITIVE),
    ("sqrt", "Sqrt", 7, POSITIVE),
    ("rsqrt", "", 0, POSITIVE),
    ("reciprocal", "Reciprocal", 7, POSITIVE),
    ("square", "", 0, ANY),
    ("abs", "Abs", 7, ANY),
    ("neg", "Neg", 7, ANY),
    ("sign", "Sign", 9, ANY),
    ("sgn", "", 0, ANY),
    ("floor", "Floor", 7, ANY),
    ("ceil", "Ceil", 7, ANY),
    ("round", "Round", 11, ANY),
    ("trunc", "", 0, ANY),
    ("frac", "", 0, ANY),
    ("sin", "Sin", 7, ANY),
    ("cos", "Cos", 7, ANY),
    ("tan", "Tan", 7, INSIDE),
    ("asin", "Asin", 7, INSIDE),
    ("acos", "Acos", 7, INSIDE),
    ("atan", "Atan", 7, ANY),
    ("sinh", "Sinh", 9, ANY),
    ("cosh", "Cosh", 9, ANY),
    ("asinh", "Asinh", 9, ANY),
    ("acosh", "Acosh", 9, ABOVE_ONE),
    ("atanh", "Atanh", 9, INSIDE),
    ("positive", "", 0, ANY),
]
BOUNDED = [
    "erf",
    "erfc",
    "square",
    "abs",
    "neg",
    "asin",
    "acos",
    "atan",
    "asinh",
    "sinh",
    "positive",
]


@pytest.mark.parametrize(("name", "kind", "opset", "domain"), FLOATS)
def test_elementary_functions(name: str, kind: str, opset: int, domain: tuple[float, float]) -> None:
    x = data(2, 3, 4, low=domain[0], high=domain[1])
    assert_pointwise_moments(probe_aten(f"{name}.default", x))
    probe_aten(f"{name}.default", x[0, 0, 0].reshape(()))
    if kind:
        probe_onnx(kind, opset, [x])


@pytest.mark.parametrize("name", BOUNDED)
def test_magnitudes_bound_the_change(name: str) -> None:
    assert_bound(probe_aten(f"{name}.default", data(2, 3, 4, low=0.05, high=0.95)))


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_tests_for_numbers(name: str) -> None:
    odd = np.array([[1.0, np.nan], [np.inf, -np.inf]])
    probe_aten(f"{name}.default", odd[:, :1].copy())
    probe_aten(f"{name}.default", odd)


@pytest.mark.parametrize("attrs", [{}, {"detect_negative": 0}, {"detect_positive": 0}])
def test_onnx_tests_for_numbers(attrs: dict[str, int]) -> None:
    odd = np.array([[1.0, np.nan], [np.inf, -np.inf]])
    probe_onnx("IsInf", 10, [odd], attrs)
    probe_onnx("IsNaN", 9, [odd])


def test_logic_and_bits_of_one_operand() -> None:
    flags, whole = np.array([[True, False, True]]), np.array([[1, -2, 300]], np.int32)
    probe_aten("logical_not.default", flags)
    probe_aten("logical_not.default", whole)
    probe_aten("bitwise_not.default", whole)
    probe_aten("bitwise_not.default", flags)
    probe_onnx("Not", 7, [flags])
    probe_onnx("BitwiseNot", 18, [whole])


def test_whole_numbers_stay_whole() -> None:
    whole = np.array([[1, -2, 300]], np.int32)
    for name in ("abs", "neg", "sign"):
        probe = probe_aten(f"{name}.default", whole)
        assert probe.op.run(probe.call, (whole,))[0].dtype == np.dtype(np.int32)
