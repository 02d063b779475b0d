"""Activations in every spelling."""

from __future__ import annotations

from typing import Any

import pytest

from prunepass.ir import registry
from tests.probe import assert_bound, assert_pointwise_moments, data, probe_aten, probe_onnx

TORCH: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}),
    ("relu6", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.5, "max_val": 2.0}),
    ("sigmoid", {}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("silu", {}),
    ("mish", {}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("elu", {}),
    ("elu", {"alpha": 2.0}),
    ("elu", {"alpha": 0.5, "scale": 1.5, "input_scale": 2.0}),
    ("selu", {}),
    ("celu", {}),
    ("celu", {"alpha": 0.3}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 2.0}),
    ("rrelu", {}),
    ("threshold", {"threshold": 0.5, "value": -0.25}),
    ("softplus", {}),
    ("softplus", {"beta": 2.0, "threshold": 1.0}),
    ("softshrink", {"lambd": 0.3}),
    ("hardshrink", {"lambd": 0.3}),
    ("log_sigmoid", {}),
    ("tanh", {}),
]
ONNX: list[tuple[str, int, dict[str, Any]]] = [
    ("Relu", 7, {}),
    ("Sigmoid", 13, {}),
    ("HardSigmoid", 7, {}),
    ("HardSigmoid", 22, {"alpha": 0.5, "beta": 0.25}),
    ("HardSwish", 14, {}),
    ("Mish", 18, {}),
    ("Gelu", 20, {}),
    ("Gelu", 20, {"approximate": "tanh"}),
    ("com.microsoft::Gelu", 1, {}),
    ("com.microsoft::QuickGelu", 1, {}),
    ("com.microsoft::QuickGelu", 1, {"alpha": 0.7}),
    ("Elu", 7, {}),
    ("Elu", 22, {"alpha": 2.0}),
    ("Selu", 7, {}),
    ("Selu", 22, {"alpha": 2.0, "gamma": 3.0}),
    ("Celu", 12, {"alpha": 0.5}),
    ("LeakyRelu", 7, {}),
    ("LeakyRelu", 16, {"alpha": 0.3}),
    ("ThresholdedRelu", 10, {}),
    ("ThresholdedRelu", 22, {"alpha": 0.2}),
    ("Softplus", 7, {}),
    ("Softsign", 7, {}),
    ("Shrink", 9, {"lambd": 0.4, "bias": 0.1}),
    ("Shrink", 9, {}),
    ("Tanh", 13, {}),
]
UNBOUNDED = {"hardsigmoid", "HardSigmoid", "threshold", "Shrink", "sigmoid", "Sigmoid"}


@pytest.mark.parametrize(("name", "numbers"), TORCH)
@pytest.mark.parametrize("shape", [(2, 3, 4), (), (1, 1)])
def test_torch_activations(name: str, numbers: dict[str, Any], shape: tuple[int, ...]) -> None:
    probe = probe_aten(f"{name}.default", data(*shape, low=-3.0, high=3.0), **numbers)
    assert_pointwise_moments(probe)
    if name not in UNBOUNDED:
        assert_bound(probe)


@pytest.mark.parametrize(("kind", "opset", "attrs"), ONNX)
def test_onnx_activations(kind: str, opset: int, attrs: dict[str, Any]) -> None:
    probe = probe_onnx(kind, opset, [data(2, 3, 4, low=-3.0, high=3.0)], attrs)
    assert_pointwise_moments(probe)
    if kind not in UNBOUNDED:
        assert_bound(probe)


@pytest.mark.parametrize("attrs", [{}, {"alpha": 0.5}])
def test_swish_against_the_reference(attrs: dict[str, Any]) -> None:
    probe_onnx("Swish", 24, [data(2, 3)], attrs, engine="reference")


def test_gates_say_that_they_are_at_most_one() -> None:
    for name in ("sigmoid", "hard_sigmoid", "sloped_sigmoid"):
        probe = probe_aten("sigmoid.default", data(2, 3))
        assert (registry()[name].flow.magnitude(probe.op, probe.call, probe.arrays)[0] == 1).all()
