"""BatchNorm in every spelling, at inference and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Sampler, UnsupportedError, registry
from tests.law import solved
from tests.probe import Probe, assert_bound, data, probe_aten, probe_onnx

SHAPES = [(4, 3), (2, 3, 5), (3, 3, 4, 2), (2, 1, 4, 4), (2, 3, 2, 3, 2)]


def operands(channels: int) -> tuple[Array, ...]:
    """Scale, shift, mean and var; some scales are negative."""
    return (
        data(channels, seed=1, low=-2.0, high=2.0),
        data(channels, seed=2),
        data(channels, seed=3),
        data(channels, seed=4, low=0.3, high=2.0),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_torch_batch_norm(shape: tuple[int, ...], training: bool, affine: bool) -> None:
    scale, shift, mean, var = operands(shape[1])
    given: tuple[Any, ...] = (scale, shift) if affine else (None, None)
    probe = probe_aten("batch_norm.default", data(*shape), *given, mean, var, training, 0.1, 1e-3, False)
    assert not any(dim is probe.rule.results[0][1] for dim in probe.rule.statistics)
    if not training:
        assert_bound(probe)


@pytest.mark.parametrize("training", [False, True])
def test_torch_batch_norm_after_decomposition(training: bool) -> None:
    x, params = data(3, 3, 4, 2), operands(3)
    probe_aten("_native_batch_norm_legit_no_training.default", x, *params, 0.1, 1e-3)
    probe_aten("_native_batch_norm_legit.default", x, *params, training, 0.1, 1e-3)
    probe_aten("native_batch_norm.default", x, *params, training, 0.1, 1e-3)
    probe_aten("_native_batch_norm_legit_functional.default", x, *params, training, 0.1, 1e-3)
    probe_aten("_native_batch_norm_legit.no_stats", x, *params[:2], True, 0.1, 1e-3)


def test_torch_batch_norm_without_statistics_takes_those_of_the_batch() -> None:
    scale, shift, _, _ = operands(3)
    probe = probe_aten("batch_norm.default", data(4, 3, 2), scale, shift, None, None, True, 0.1, 1e-5, False)
    assert len(probe.rule.statistics) == 2


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
@pytest.mark.parametrize("shape", SHAPES)
def test_onnx_batch_norm(opset: int, shape: tuple[int, ...]) -> None:
    probe_onnx("BatchNormalization", opset, [data(*shape), *operands(shape[1])], {"epsilon": 1e-3})


def test_onnx_batch_norm_in_training() -> None:
    attrs = {"training_mode": 1, "momentum": 0.7}
    probe_onnx("BatchNormalization", 15, [data(3, 3, 4), *operands(3)], attrs, outputs=3, engine="reference")


def test_old_training_form_of_onnx_is_refused() -> None:
    op, spelling = registry().onnx("BatchNormalization", 9) or pytest.fail("not declared")
    assert spelling.fix is not None
    assert op.name == "batch_norm"
    with pytest.raises(UnsupportedError, match="opset 14"):
        spelling.fix({"opset": 9, "outputs": 5}, ())


def _probe(**changed: Any) -> Probe:
    params = dict(zip(("weight", "bias", "running_mean", "running_var"), operands(3), strict=True))
    options = {"training": False, "momentum": 0.1, "eps": 1e-3, "cudnn_enabled": False}
    return probe_aten("batch_norm.default", data(2, 3, 4, 4), **{**params, **options, **changed})


def test_the_magnitude_with_shifts_bounds_the_result_itself() -> None:
    probe = _probe()
    x, scale, shift, mean, var = probe.arrays
    assert x is not None
    result = probe.op.run(probe.call, probe.arrays)[0]
    assert (abs(result) <= probe.magnitude(abs(x), scale, shift, mean, var)[0] + 1e-9).all()


def test_moments_are_those_that_training_left() -> None:
    probe = _probe()
    samples = tuple(None if array is None else array[None] for array in probe.arrays)
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (None, *samples[1:]), Sampler())
    assert moments is not None
    assert moments.shape[1:] == (1, 3, 1, 1)
    np.testing.assert_allclose(moments.mean(axis=0).ravel(), probe.arrays[2], atol=1e-9)
    np.testing.assert_allclose(moments.std(axis=0).ravel(), abs(np.asarray(probe.arrays[1])), rtol=1e-9)


def test_adding_to_a_channel_is_undone_by_its_running_mean() -> None:
    probe = _probe()
    assert probe.op.shift_in == (3, -1)
    x, scale, shift, mean, var = probe.arrays
    assert x is not None
    assert mean is not None
    step = data(3, seed=9)
    moved = probe.op.run(probe.call, (x + step[:, None, None], scale, shift, mean, var))[0]
    np.testing.assert_allclose(
        moved, probe.op.run(probe.call, (x, scale, shift, mean - step, var))[0], atol=1e-12
    )


def test_a_channel_is_one_space_everywhere() -> None:
    rule = _probe().rule
    space = solved(rule)
    assert all(dims is not None and space.norm(dims[0]) is rule.results[0][1] for dims in rule.operands[1:])
