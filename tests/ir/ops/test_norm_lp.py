"""Normalisation without weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.law import free_atoms, solved
from tests.probe import assert_bound, assert_share, data, probe_onnx

X = data(2, 5, 4, 3)


@pytest.mark.parametrize("attrs", [{}, {"axis": 1}, {"axis": 0, "p": 1}])
def test_norms_are_cut_exactly(attrs: dict[str, Any]) -> None:
    for opset in (7, 22):
        probe = probe_onnx("LpNormalization", opset, [X], attrs)
        assert len(probe.rule.contracted) == 1
        assert_share(probe, 0)


def test_what_is_zero_stays_zero() -> None:
    empty = X.copy()
    empty[:, 1] = 0
    probe_onnx("LpNormalization", 7, [empty], {"axis": 0})


@pytest.mark.parametrize(
    "attrs", [{"size": 3}, {"size": 5, "alpha": 0.5, "beta": 0.5, "bias": 2.0}, {"size": 1}]
)
def test_neighbouring_channels_are_pinned(attrs: dict[str, Any]) -> None:
    for opset in (7, 13):
        probe = probe_onnx("LRN", opset, [X], attrs)
        assert_bound(probe)
        assert X.shape[1] not in [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))]
        channel = probe.rule.results[0][1]
        assert "neighbouring" in str(channel.pins[0])  # type: ignore[union-attr]


@pytest.mark.parametrize("attrs", [{}, {"axes": [1, -1]}])
def test_mean_and_deviation_are_statistics(attrs: dict[str, Any]) -> None:
    for opset in (9, 13):
        probe = probe_onnx("MeanVarianceNormalization", opset, [X], attrs)
        assert len(probe.rule.statistics) == len(attrs.get("axes", "nhw"))
    np.testing.assert_array_equal(probe.magnitude()[0], 1.0)
