"""Operators that ONNX Runtime's optimiser makes, held to ONNX Runtime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Sampler, UnsupportedError, registry
from tests.probe import assert_bound, assert_share, data, probe_onnx


@pytest.mark.parametrize(
    ("batch", "flips"),
    [
        *product([()], ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 0, 0))),
        *product([(3,), (3, 4)], product((0, 1), repeat=4)),
    ],
)
@pytest.mark.parametrize("alpha", [1.0, -0.5])
def test_each_side_of_a_product_may_be_transposed_and_its_batch_too(
    flips: tuple[int, ...], alpha: float, batch: tuple[int, ...]
) -> None:
    attrs: dict[str, Any] = dict(zip(("transA", "transB", "transBatchA", "transBatchB"), flips, strict=True))
    sides = []
    for at, matrix in enumerate(((2, 5), (5, 6))):
        side = (
            np.swapaxes(data(*batch, *matrix, seed=at), -1, -2)
            if flips[at]
            else data(*batch, *matrix, seed=at)
        )
        sides.append(np.ascontiguousarray(np.moveaxis(side, -2, 0) if flips[2 + at] else side))
    probe = probe_onnx("com.microsoft::FusedMatMul", 1, list(sides), {**attrs, "alpha": alpha})
    assert_bound(probe)
    assert_share(probe, 0)
    assert_share(probe, 1)


def test_a_side_without_the_axes_to_transpose_is_refused() -> None:
    op = registry()["fused_matmul"]
    for attrs, shapes in (({"trans_b": 1}, ((3, 4), (4,))), ({"batch_a": 1}, ((3, 4), (4, 5)))):
        with pytest.raises(UnsupportedError, match="axes, transposed"):
            op.rule(Call(attrs, shapes))


def test_moments_pass_through_the_factor() -> None:
    op, weight = registry()["fused_matmul"], data(5, 4, seed=1)
    attrs: dict[str, Any] = {"trans_b": 1, "alpha": -3.0}
    call = Call(attrs, ((3, 4), (5, 4)), ("float64",) * 2, results=((3, 5),))
    sampler = Sampler(5)
    mean, deviation = data(3, 4, seed=7), data(3, 4, seed=8, low=0.5)
    (found,) = op.flow.moments(op, call, (sampler.normal(mean, deviation), weight[None]), sampler)
    draws = np.random.default_rng(0).normal(mean, deviation, (20000, 3, 4))
    real = -3.0 * draws @ weight.T
    assert found is not None
    np.testing.assert_allclose(found.mean(axis=0)[0], real.mean(axis=(0, 1)), atol=0.05)
    np.testing.assert_allclose(found.var(axis=0)[0], real.var(axis=0).mean(axis=0), rtol=0.05)


@pytest.mark.parametrize("kind", ["BiasGelu", "FastGelu"])
def test_a_bias_goes_into_gelu(kind: str) -> None:
    assert_bound(probe_onnx(f"com.microsoft::{kind}", 1, [data(2, 3, 4, high=3.0), data(4, seed=1)], {}))


def test_the_fast_form_needs_no_bias() -> None:
    assert_bound(probe_onnx("com.microsoft::FastGelu", 1, [data(2, 3, 4, low=-3.0)], {}))


def test_a_bias_of_another_size_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="a bias of"):
        registry()["biased_gelu"].rule(Call({}, ((2, 4), (3,))))
