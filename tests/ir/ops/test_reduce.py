"""Reductions in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Sampler, atoms_of
from tests.probe import Probe, assert_bound, assert_share, data, probe_aten, probe_onnx

X = data(2, 3, 4, low=0.2, high=1.5)
SIGNED = data(2, 3, 4, seed=1)
AXES: list[tuple[list[int] | None, bool]] = [
    (None, False),
    ([1], True),
    ([-1, 0], False),
    ([0, 1, 2], True),
    ([], False),
]


@pytest.mark.parametrize(("axes", "keep"), AXES)
@pytest.mark.parametrize("name", ["mean.dim", "sum.dim_IntList"])
def test_torch_sums_and_means(name: str, axes: list[int] | None, keep: bool) -> None:
    probe = probe_aten(name, SIGNED, axes, keep)
    assert_bound(probe)
    assert_share(probe, 0)


@pytest.mark.parametrize("name", ["mean", "sum", "max", "min", "prod"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1), ()])
def test_torch_reductions_of_everything(name: str, shape: tuple[int, ...]) -> None:
    probe_aten(f"{name}.default", data(*shape, low=0.2))


@pytest.mark.parametrize("name", ["amax", "amin"])
@pytest.mark.parametrize(("axes", "keep"), [([], False), ([1], True), ([-1, 0], False)])
def test_torch_extremes(name: str, axes: list[int], keep: bool) -> None:
    assert_bound(probe_aten(f"{name}.default", SIGNED, axes, keep))


def test_torch_products_and_log_sums() -> None:
    probe_aten("prod.dim_int", X, -1, True)
    probe_aten("logsumexp.default", SIGNED, [1, 2], True)
    probe_aten("logsumexp.default", SIGNED, [-1])


def test_sums_of_whole_numbers_widen_in_torch_and_not_in_onnx() -> None:
    whole = np.arange(12, dtype=np.int32).reshape(3, 4)
    for probe, name in (
        (probe_aten("sum.dim_IntList", whole, [1]), "int64"),
        (probe_aten("sum.dim_IntList", whole > 3, [1]), "int64"),
        (probe_onnx("ReduceSum", 13, [whole, np.array([1])]), "int32"),
    ):
        assert probe.op.run(probe.call, probe.arrays)[0].dtype.name == name


def test_torch_sums_in_another_dtype() -> None:
    import torch

    probe = probe_aten("mean.dim", np.arange(12).reshape(3, 4), [1], dtype=torch.float64)
    assert probe.call.attrs["dtype"] == "float64"


@pytest.mark.parametrize("name", ["any", "all"])
def test_torch_logic(name: str) -> None:
    flags = data(3, 4) > 0.3
    for x in (flags, flags.astype(np.float64)):
        probe_aten(f"{name}.default", x)
        probe_aten(f"{name}.dim", x, -1, True)
        probe_aten(f"{name}.dims", x, [0, 1])
        probe_aten(f"{name}.dims", x)


@pytest.mark.parametrize("p", [2, 1, 3.5, 0, float("inf"), float("-inf"), -1])
@pytest.mark.parametrize("axes", [None, [1], [0, -1]])
def test_torch_norms(p: float, axes: list[int] | None) -> None:
    probe = probe_aten("linalg_vector_norm.default", SIGNED, p, axes, True)
    assert bool(probe.rule.contracted) == (p >= 0)
    if 1 <= p < np.inf:
        assert_share(probe, 0)
        assert_bound(probe)


def test_torch_norms_under_their_old_name() -> None:
    probe_aten("norm.Scalar", SIGNED)
    probe_aten("norm.ScalarOpt_dim", SIGNED, None, [1])
    probe_aten("norm.ScalarOpt_dim", SIGNED, 1.0, [0, 2], True)


def test_the_share_of_an_entry_bounds_what_the_norm_loses_without_it() -> None:
    probe = probe_aten("linalg_vector_norm.default", data(5), 2, [0])
    whole, share = np.linalg.norm(data(5)), probe.inflow(0)
    for i in range(5):
        assert whole - np.linalg.norm(np.delete(data(5), i)) <= share[i] + 1e-12


REDUCTIONS = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
]


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("attrs", [{}, {"keepdims": 0}])
@pytest.mark.parametrize("axes", [None, [1], [-1, 0]])
def test_onnx_reductions(kind: str, attrs: dict[str, Any], axes: list[int] | None) -> None:
    given = {} if axes is None else {"axes": axes}
    inputs = [X] if axes is None else [X, np.array(axes)]
    for opset in (7, 11, 13, 18, 20):
        moved = opset >= (13 if kind == "ReduceSum" else 18)
        probe_onnx(kind, opset, inputs if moved else [X], attrs if moved else {**attrs, **given})


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_onnx_may_reduce_nothing(kind: str) -> None:
    for inputs in ([X], [X, np.array([], np.int64)]):
        probe = probe_onnx(kind, 18, inputs, {"noop_with_empty_axes": 1})
        assert probe.call.attrs["axes"] == ()


def test_onnx_global_pools() -> None:
    for x in (data(2, 3, 5), data(2, 3, 4, 5), data(1, 1, 2, 2, 3)):
        for opset in (7, 22):
            probe_onnx("GlobalAveragePool", opset, [x])
            probe_onnx("GlobalMaxPool", opset, [x])
        probe_onnx("GlobalLpPool", 7, [x])
        probe_onnx("GlobalLpPool", 13, [x], {"p": 3})


def test_sums_contract_and_means_hold_statistics() -> None:
    total, mean = probe_aten("sum.dim_IntList", X, [1]).rule, probe_aten("mean.dim", X, [1]).rule
    assert [dim.size for dim in total.contracted] == [3]
    assert [dim.size for dim in mean.statistics] == [3]
    assert not total.statistics
    assert not mean.contracted
    assert next(atoms_of(mean.results[0][1])).size == 4


def _moments(probe: Probe, *shape: int) -> Any:
    sample = Sampler().normal(data(*shape), data(*shape, seed=1, low=0.5))
    return sample, probe.op.flow.moments(probe.op, probe.call, (sample,), Sampler())[0]


def test_moments_of_a_mean_over_positions_that_are_alike() -> None:
    for keep, shape in ((True, (256, 1, 3, 1, 1)), (False, (256, 1, 3))):
        sample, moments = _moments(probe_aten("mean.dim", data(1, 3, 6, 6), [2, 3], keep), 1, 3, 1, 1)
        assert moments.shape == shape
        np.testing.assert_allclose(moments.ravel(), sample.ravel())


def test_moments_of_a_sum_count_what_is_alike() -> None:
    sample, moments = _moments(probe_aten("sum.dim_IntList", data(1, 3, 6, 6), [2, 3]), 1, 3, 1, 1)
    np.testing.assert_allclose(moments.ravel(), sample.ravel() * 36)


def test_moments_over_channels_are_taken_sample_by_sample() -> None:
    sample, moments = _moments(probe_aten("amax.default", data(1, 3, 6, 6), [1]), 1, 3, 1, 1)
    np.testing.assert_allclose(moments, sample.max(axis=2))


def test_nobody_knows_the_largest_of_entries_that_are_only_alike() -> None:
    assert _moments(probe_aten("amax.default", data(1, 3, 6, 6), [2, 3]), 1, 3, 1, 1)[1] is None
