"""Linear layers and matrix products in every spelling."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Sampler, UnsupportedError, registry
from tests.probe import Probe, assert_bound, assert_share, data, probe_aten, probe_onnx


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0, 3)])
@pytest.mark.parametrize("biased", [False, True])
def test_torch_linear(lead: tuple[int, ...], biased: bool) -> None:
    probe = probe_aten("linear.default", data(*lead, 4), data(6, 4, seed=1), data(6) if biased else None)
    assert_bound(probe)
    if not biased:
        assert_share(probe, 0)
        assert_share(probe, 1)


def test_torch_linear_with_one_unnamed_feature() -> None:
    probe_aten("linear.default", data(2, 3, 4), data(4, seed=1))


PRODUCTS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((4,), (4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (4,)),
    ((4,), (2, 4, 3)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_matrix_products(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = data(*a), data(*b, seed=1)
    probe = probe_aten("matmul.default", left, right)
    assert_bound(probe)
    assert_share(probe, 0)
    assert_share(probe, 1)
    probe_onnx("MatMul", 7, [left, right])
    probe_onnx("MatMul", 13, [left, right])


def test_torch_products_of_one_rank() -> None:
    probe_aten("mm.default", data(3, 4), data(4, 5))
    probe_aten("bmm.default", data(2, 3, 4), data(2, 4, 5))
    probe_aten("mv.default", data(3, 4), data(4))
    probe_aten("dot.default", data(4), data(4, seed=1))


@pytest.mark.parametrize("shape", [(5,), (3, 5), (1, 5), (3, 1), (1,), ()])
@pytest.mark.parametrize("factors", [{}, {"alpha": -2.0, "beta": 0.5}])
def test_torch_addmm(shape: tuple[int, ...], factors: dict[str, float]) -> None:
    probe = probe_aten("addmm.default", data(*shape, seed=2), data(3, 4), data(4, 5, seed=1), **factors)
    assert_bound(probe)


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
@pytest.mark.parametrize(
    "flips", [{}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1, "alpha": -0.5}]
)
@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 1), (), None])
def test_onnx_gemm(opset: int, flips: dict[str, Any], shape: tuple[int, ...] | None) -> None:
    if shape is None and opset < 11:
        pytest.skip("the third input became optional at opset 11")
    a, b = (
        data(4, 3) if flips.get("transA") else data(3, 4),
        data(5, 4) if flips.get("transB") else data(4, 5),
    )
    added = [] if shape is None else [data(*shape, seed=2)]
    probe = probe_onnx("Gemm", opset, [a, b, *added], {**flips, "beta": 2.0})
    assert_bound(probe)
    if shape is None:
        assert_share(probe, 0)
        assert_share(probe, 1)


def _moments(probe: Probe) -> tuple[Any, Any]:
    """Moments as they are carried, and those of random draws."""
    sampler = Sampler(5)
    mean, deviation = data(3, 4, seed=7), data(3, 4, seed=8, low=0.5)
    constants = probe.arrays[1:]
    samples = (sampler.normal(mean, deviation), *(None if c is None else c[None] for c in constants))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, samples, sampler)
    draws = np.random.default_rng(0).normal(mean, deviation, (20000, 3, 4))
    real = np.stack([probe.op.run(probe.call, (draw, *constants))[0] for draw in draws])
    return moments, real


def test_moments_go_through_the_factors_of_a_product() -> None:
    probe = probe_aten("addmm.default", data(5), data(3, 4), data(4, 5, seed=1), alpha=3.0, beta=0.5)
    moments, real = _moments(probe)
    np.testing.assert_allclose(moments.mean(axis=0)[0], real.mean(axis=(0, 1)), atol=0.05)
    np.testing.assert_allclose(moments.var(axis=0)[0], real.var(axis=0).mean(axis=0), rtol=0.05)


@pytest.mark.parametrize(("name", "shapes"), [("linear", ((2, 3), (4, 5))), ("matmul", ((2, 3), (4, 5)))])
def test_features_that_do_not_fit_are_refused(name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UnsupportedError):
        registry()[name].rule(Call({}, shapes))


def test_a_gemm_of_unequal_insides_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        registry()["gemm"].rule(Call({"trans_a": 1}, ((2, 3), (3, 5))))


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
    op = registry()["matmul"]
    for attrs, shapes in (({"trans_b": 1}, ((3, 4), (4,))), ({"batch_a": 1}, ((3, 4), (4, 5)))):
        with pytest.raises(UnsupportedError, match="axes, transposed"):
            op.rule(Call(attrs, shapes))


def test_moments_pass_through_the_factor() -> None:
    op, weight = registry()["matmul"], data(5, 4, seed=1)
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
