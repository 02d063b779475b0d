"""LayerNorm and RMSNorm in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.law import call_for, check, solved
from tests.probe import data, probe_aten, probe_onnx

SHAPES = [((2, 3, 4), 1), ((2, 3, 4), 2), ((5,), 1), ((2, 3, 4), 3), ((3, 1), 1)]


@pytest.mark.parametrize(("shape", "tail"), SHAPES)
@pytest.mark.parametrize("affine", [False, True])
def test_torch_layer_norm(shape: tuple[int, ...], tail: int, affine: bool) -> None:
    size = shape[-tail:]
    params = (data(*size, seed=1), data(*size, seed=2)) if affine else (None, None)
    probe = probe_aten("layer_norm.default", data(*shape), list(size), *params, 1e-3)
    assert probe.rule.statistics == probe.rule.results[0][-tail:]
    assert (
        len(probe_aten("native_layer_norm.default", data(*shape), list(size), *params, 1e-3).rule.results)
        == 3
    )


@pytest.mark.parametrize(("shape", "tail"), SHAPES)
@pytest.mark.parametrize("eps", [None, 1e-3])
@pytest.mark.parametrize("affine", [False, True])
def test_torch_rms_norm(shape: tuple[int, ...], tail: int, eps: float | None, affine: bool) -> None:
    size = list(shape[-tail:])
    scale = data(*size, seed=1) if affine else None
    probe_aten("rms_norm.default", data(*shape), size, scale, eps)
    probe_aten("_fused_rms_norm.default", data(*shape), size, scale, eps)


def test_the_resolution_of_the_dtype_stands_in_for_a_missing_eps() -> None:
    import torch

    op, tiny = registry()["rms_norm"], np.full((1, 4), 1e-4, np.float32)
    call = call_for(op, {"eps": None, "axis": 1}, tiny)
    want = torch.ops.aten.rms_norm.default(torch.from_numpy(tiny), [4])
    np.testing.assert_allclose(op.run(call, (tiny,))[0], want.numpy(), rtol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("outputs", [1, 3])
def test_onnx_layer_norm(axis: int, outputs: int) -> None:
    shape = (2, 3, 4)
    scale, shift = data(*shape[axis:], seed=1), data(*shape[axis:], seed=2)
    attrs = {"axis": axis, "epsilon": 1e-3, "stash_type": 1}
    probe_onnx("LayerNormalization", 17, [data(*shape), scale, shift], attrs, outputs=outputs)
    probe_onnx("LayerNormalization", 17, [data(*shape), scale], {"axis": axis})


@pytest.mark.parametrize("axis", [-1, 1])
def test_onnx_rms_norm(axis: int) -> None:
    shape = (2, 3, 4)
    probe_onnx(
        "RMSNormalization", 23, [data(*shape), data(*shape[axis:], seed=1)], {"axis": axis, "epsilon": 1e-3}
    )


@pytest.mark.parametrize("outputs", [1, 2])
def test_ort_rms_norm_in_the_default_domain(outputs: int) -> None:
    inputs: list[Array | None] = [data(2, 3, 4), data(4, seed=1)]
    attrs = {"axis": -1, "epsilon": 1e-3, "stash_type": 1}
    probe_onnx("SimplifiedLayerNormalization", 17, inputs, attrs, outputs=outputs)


@pytest.mark.parametrize("present", [(True, True), (True, False), (False, True), (False, False)])
def test_ort_residual_layer_norm(present: tuple[bool, bool]) -> None:
    shift, bias = (data(4, seed=i) if there else None for i, there in enumerate(present, start=3))
    inputs = [data(2, 3, 4), data(2, 3, 4, seed=1), data(4, seed=2), shift, bias]
    while inputs[-1] is None:
        inputs.pop()
    probe_onnx("com.microsoft::SkipLayerNormalization", 1, inputs, {"epsilon": 1e-3})


@pytest.mark.parametrize("biased", [False, True])
def test_ort_residual_rms_norm(biased: bool) -> None:
    inputs = [data(2, 3, 4), data(2, 3, 4, seed=1), data(4, seed=2), *([data(4, seed=3)] if biased else [])]
    probe_onnx("com.microsoft::SkipSimplifiedLayerNormalization", 1, inputs, {"epsilon": 1e-3})


def test_the_sum_is_a_result_of_the_residual_form() -> None:
    op, (x, skip, scale) = registry()["residual_rms_norm"], (data(2, 4), data(2, 4, seed=1), data(4))
    attrs: dict[str, Any] = {"axis": 1, "eps": 1e-3, "extra": ("mean", "rstd", "sum")}
    check(op, attrs, x, skip, scale)
    np.testing.assert_allclose(op.run(call_for(op, attrs, x, skip, scale), (x, skip, scale))[3], x + skip)


def test_the_normalized_shape_follows_a_cut() -> None:
    op, x = registry()["layer_norm"], data(2, 3, 4)
    attrs = {"axis": 1, "eps": 1e-5, "normalized_shape": (3, 4)}
    rule = op.rule(call_for(op, attrs, x))
    leaf = next(atoms_of(rule.results[0][2]))
    cut = cut_attrs(attrs, rule, solved(rule).norm, {leaf: np.array([0, 3])})
    assert cut["normalized_shape"] == (3, 2)


def test_the_magnitude_is_that_of_scale_and_shift() -> None:
    probe = probe_aten("layer_norm.default", data(2, 4) * 100, [4], data(4, seed=1), data(4, seed=2))
    _, scale, shift = probe.arrays
    assert scale is not None
    assert shift is not None
    size = probe.magnitude(abs(data(2, 4)), scale, shift * 0)[0]
    np.testing.assert_allclose(size, np.broadcast_to(abs(scale), (2, 4)))
