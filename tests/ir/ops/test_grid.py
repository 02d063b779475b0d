"""Sampling at given points, and grids."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Sampler, UnsupportedError, registry
from tests.law import call_for, free_atoms, solved
from tests.probe import data, probe_aten, probe_onnx

X, POINTS = data(2, 3, 5, 4), data(2, 3, 6, 2, seed=1, low=-1.7, high=1.7)
VOLUME, PLACES = data(1, 2, 3, 4, 5), data(1, 2, 3, 2, 3, seed=1, low=-1.3, high=1.3)


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("align", [False, True])
def test_torch_samples_points(mode: int, padding: int, align: bool) -> None:
    probe = probe_aten("grid_sampler_2d.default", X, POINTS, mode, padding, align)
    assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [2, 3]
    probe_aten("grid_sampler.default", X, POINTS, mode, padding, align)
    if mode < 2:
        probe_aten("grid_sampler_3d.default", VOLUME, PLACES, mode, padding, align)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [0, 1])
def test_onnx_samples_points(mode: str, padding: str, align: int) -> None:
    attrs = {"padding_mode": padding, "align_corners": align}
    probe_onnx("GridSample", 16, [X, POINTS], {**attrs, "mode": mode})
    new = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    probe_onnx("GridSample", 20, [X, POINTS], {**attrs, "mode": new})
    if mode != "bicubic":
        probe_onnx("GridSample", 20, [VOLUME, PLACES], {**attrs, "mode": new})


def test_onnx_defaults() -> None:
    probe_onnx("GridSample", 16, [X, POINTS])
    probe_onnx("GridSample", 20, [X, POINTS])


def test_the_magnitude_is_that_of_the_largest_entry() -> None:
    probe = probe_aten("grid_sampler_2d.default", X, POINTS, 0, 0, False)
    assert (abs(probe.op.run(probe.call, (X, POINTS))[0]) <= probe.magnitude()[0]).all()


def test_moments_of_what_is_alike_pass() -> None:
    probe = probe_aten("grid_sampler_2d.default", X, POINTS, 0, 0, False)
    sample = Sampler().normal(data(1, 3, 1, 1), np.ones((1, 3, 1, 1)))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample, POINTS[None]), Sampler())
    assert moments is sample


@pytest.mark.parametrize("align", [False, True])
def test_regular_grids(align: bool) -> None:
    plane, volume = data(2, 2, 3), data(2, 3, 4)
    for size in ([2, 5, 4, 3], [2, 1, 1, 2]):
        probe = probe_aten("affine_grid_generator.default", plane, size, align)
        if min(size[2:]) > 1:  # on single points torch, ONNX's reference and ONNX Runtime all disagree
            probe_onnx("AffineGrid", 20, [plane, np.array(size)], {"align_corners": int(align)})
        assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [2]
    probe_aten("affine_grid_generator.default", volume, [2, 1, 3, 4, 2], align)


def test_the_batch_of_a_grid_follows_a_cut() -> None:
    from prunepass.ir import atoms_of
    from prunepass.ir._cutting import cut_attrs

    op, attrs = registry()["affine_grid"], {"size": (2, 5, 4, 3), "align": False}
    rule = op.rule(call_for(op, attrs, data(2, 2, 3)))
    (batch,) = atoms_of(rule.results[0][0])
    assert cut_attrs(attrs, rule, solved(rule).norm, {batch: np.array([1])})["size"] == (1, 5, 4, 3)


def test_points_of_another_rank_are_refused() -> None:
    from prunepass.ir import Call

    attrs = {"mode": "linear", "padding": "zeros", "align": False}
    with pytest.raises(UnsupportedError, match="points"):
        registry()["grid_sample"].rule(Call(attrs, ((1, 2, 4, 4), (1, 3, 3, 3))))
