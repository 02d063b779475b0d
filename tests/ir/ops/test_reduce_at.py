"""Variances, and reductions that tell positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prunepass.ir._flow import Sampler
from tests.law import check_cut, free_atoms, solved
from tests.probe import data, probe_aten, probe_onnx

X = data(3, 4, 5)


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_variances(name: str) -> None:
    for args in ((), (False,)):
        probe_aten(f"{name}.default", X, *args)
    for tail in ((None,), ([1],), ([0, -1], False, True)):
        probe_aten(f"{name}.dim", X, *tail)
    numbers: list[dict[str, Any]] = [{}, {"correction": 0}, {"correction": 2, "keepdim": True}]
    for options in numbers:
        probe = probe_aten(f"{name}.correction", X, [1, 2], **options)
        assert len(probe.rule.results) == (2 if name.endswith("mean") else 1)


@pytest.mark.parametrize("name", ["var", "std"])
def test_the_magnitude_of_a_variance_bounds_it(name: str) -> None:
    probe = probe_aten(f"{name}.correction", X, [1])
    assert (probe.op.run(probe.call, (X,))[0] <= probe.magnitude()[0] + 1e-12).all()


def test_moments_of_a_variance_over_channels() -> None:
    probe = probe_aten("var.correction", data(1, 4), [1])
    sample = Sampler().normal(data(1, 4), np.ones((1, 4)))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample,), Sampler())
    assert moments is not None
    np.testing.assert_allclose(moments, sample.var(axis=2, ddof=1))


TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("keep", [False, True])
def test_torch_positions(name: str, axis: int | None, keep: bool) -> None:
    probe = probe_aten(f"{name}.default", TIES, axis, keep)
    assert len(free_atoms(probe.rule, solved(probe.rule))) == (0 if axis is None else 1)
    probe_aten(f"{name}.default", X, axis, keep)
    probe_aten(f"{name}.default", np.array(1.0), axis, keep)


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("attrs", [{}, {"axis": 1, "keepdims": 0}, {"axis": -1}])
def test_onnx_positions(kind: str, attrs: dict[str, int]) -> None:
    for opset in (7, 11, 12, 13):
        probe_onnx(kind, opset, [TIES], attrs)
    probe_onnx(kind, 13, [TIES], {**attrs, "select_last_index": 1})


@pytest.mark.parametrize("name", ["max", "min"])
def test_torch_extremes_with_positions(name: str) -> None:
    for x, axis, keep in ((X, 1, False), (X, -1, True), (np.array(2.0), 0, False)):
        probe = probe_aten(f"{name}.dim", x, axis, keep)
        assert all(dim.size == 3 or dim.size == 5 or dim.size == 4 for dim, _ in probe.rule.pins)
    pinned = probe_aten(f"{name}.dim", X, 1).rule
    assert [(dim.size, reason) for dim, reason in pinned.pins] == [(4, "positions along it are told")]


def test_an_axis_may_be_cut_where_nobody_reads_the_positions() -> None:
    probe = probe_aten("max.dim", X, 1, True)
    rule = probe.op.rule(replace(probe.call, results=probe.call.results[:1]))
    assert not rule.pins
    assert [dim.size for dim in rule.statistics] == [4]
    check_cut(probe.op, probe.call, rule, (X,), np.random.default_rng(0))


@pytest.mark.parametrize("read", [1, 2])
def test_the_magnitude_of_an_extreme_has_as_many_results_as_are_read(read: int) -> None:
    probe = probe_aten("max.dim", X, 1, False)
    call = replace(probe.call, results=probe.call.results[:read])
    made = probe.op.flow.magnitude(probe.op, call, (np.abs(X),))
    assert [array.shape for array in made] == list(call.results)
    assert (np.abs(probe.op.run(call, (X,))[0]) <= made[0] + 1e-12).all()
