"""Clip, where, masked_fill and PReLU in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array
from tests.probe import assert_bound, assert_pointwise_moments, data, probe_aten, probe_onnx

X = data(2, 3, 4, low=-2.0, high=2.0)
LOW, HIGH = np.array(-0.5), np.array(0.75)


@pytest.mark.parametrize("bounds", [(-0.5, 0.75), (None, 0.75), (-0.5, None), (0.25, 0.75)])
def test_torch_clamps(bounds: tuple[Any, Any]) -> None:
    probe = probe_aten("clamp.default", X, *bounds)
    assert_pointwise_moments(probe)
    assert_bound(probe)


def test_torch_clamps_of_one_side_and_by_tensors() -> None:
    probe_aten("clamp_min.default", X, 0.25)
    probe_aten("clamp_max.default", X, 0.25)
    probe_aten("clamp.Tensor", X, data(3, 1) - 1, data(4, seed=1) + 1)
    probe_aten("clamp.Tensor", X, None, data(4, seed=1))


def test_onnx_clips_by_attribute_and_by_input() -> None:
    for attrs in ({}, {"min": -0.5}, {"max": 0.5}, {"min": -0.5, "max": 0.75}):
        probe_onnx("Clip", 7, [X], attrs)
    for inputs in ([X], [X, LOW], [X, None, HIGH], [X, LOW, HIGH]):
        assert_pointwise_moments(probe_onnx("Clip", 11, inputs))
        probe_onnx("Clip", 13, inputs)


def test_the_magnitude_of_a_clip_is_capped_by_the_larger_bound() -> None:
    probe = probe_aten("clamp.default", X, -0.5, 6.0)
    np.testing.assert_allclose(probe.magnitude(abs(X) * 10, LOW, HIGH)[0], np.minimum(abs(X) * 10, 6.0))


MASK = data(3, 4) > 0


def test_choices() -> None:
    assert_pointwise_moments(probe_aten("where.self", data(2, 3, 4) > 0, X, data(4)))
    probe_aten("where.ScalarOther", MASK, X, 0.5)
    probe_aten("where.ScalarSelf", MASK, 0.5, X)
    probe_onnx("Where", 9, [MASK, X, data(1, 4)])


@pytest.mark.parametrize("value", [0.5, -np.inf])
def test_fills(value: float) -> None:
    probe = probe_aten("masked_fill.Scalar", X, MASK, value)
    assert np.isfinite(probe.magnitude()[0]).all()
    probe_aten("masked_fill.Tensor", X, MASK, np.array(value))


@pytest.mark.parametrize(
    ("x", "slope"),
    [
        (data(2, 3, 4, 5), data(3)),
        (data(2, 3, 4, 5), data(1)),
        (data(2, 3), data(3)),
        (data(4, 4), data(4)),
        (data(2, 1, 4), data(1)),
        (data(5), data(1)),
    ],
)
def test_torch_prelu(x: Array, slope: Array) -> None:
    assert_pointwise_moments(probe_aten("prelu.default", x, slope))
    assert_bound(probe_aten("prelu.default", x, slope * 3))


def test_torch_prelu_after_decomposition_broadcasts() -> None:
    assert_pointwise_moments(probe_aten("_prelu_kernel.default", data(2, 3, 4, 5), data(1, 3, 1, 1)))


@pytest.mark.parametrize("slope", [data(3, 1, 1), data(1), data(5), data(2, 3, 4, 5, seed=1)])
def test_onnx_prelu(slope: Array) -> None:
    probe_onnx("PRelu", 7, [data(2, 3, 4, 5), slope])
    assert_pointwise_moments(probe_onnx("PRelu", 16, [data(2, 3, 4, 5), slope]))


def test_slopes_are_cut_with_their_channel() -> None:
    rule = probe_aten("prelu.default", data(2, 3, 4, 5), data(3)).rule
    assert rule.operands[1] is not None
    assert rule.operands[1][0] is rule.results[0][1]
