"""Softmax and its kin in every spelling."""

from __future__ import annotations

import numpy as np
import pytest

from tests.law import free_atoms, solved
from tests.probe import assert_bound, data, probe_aten, probe_onnx

X = data(2, 3, 4, low=-3.0, high=3.0)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_torch_softmax(axis: int) -> None:
    for target, tail in (("softmax.int", ()), ("_softmax.default", (False,)), ("_safe_softmax.default", ())):
        probe = probe_aten(target, X, axis, *tail)
        assert [(dim.size, why) for dim, why in probe.rule.pins] == [
            (X.shape[axis], "softmax mixes positions")
        ]
        assert len(free_atoms(probe.rule, solved(probe.rule))) == 2
    assert_bound(probe_aten("log_softmax.int", X, axis))
    probe_aten("_log_softmax.default", X, axis, False)


def test_softmax_of_a_scalar() -> None:
    probe_aten("softmax.int", np.array(2.0), 0)
    probe_aten("log_softmax.int", np.array(2.0), -1)


def test_what_is_masked_has_no_weight() -> None:
    masked = np.where(X > 0, X, -np.inf)
    masked[0, 0] = -np.inf
    probe_aten("_safe_softmax.default", masked, -1)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_onnx_softmax(kind: str, axis: int | None) -> None:
    attrs = {} if axis is None else {"axis": axis}
    for opset in (11, 13):
        probe = probe_onnx(kind, opset, [X], attrs)
        pinned = len(probe.rule.pins)
        start = (1 if axis is None else axis % 3) if opset < 13 else 2
        assert pinned == (3 - start if opset < 13 else 1)
    if axis != -1:
        probe_onnx(kind, 7, [X], attrs)


def test_the_magnitudes_of_weights_add_up_to_one() -> None:
    probe = probe_onnx("Softmax", 11, [X], {"axis": 1})
    np.testing.assert_allclose(probe.magnitude()[0].sum(axis=(1, 2)), 1.0)
