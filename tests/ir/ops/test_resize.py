"""Resampling in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Sampler, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from prunepass.ir._interpolation import Axis, Kind, check_kind, weights
from tests.law import call_for, free_atoms, solved
from tests.probe import assert_bound, data, probe_aten, probe_onnx

SHAPES = {1: (2, 3, 7), 2: (2, 3, 5, 7), 3: (1, 2, 3, 4, 5)}
SMOOTH = [
    ("upsample_linear1d", 1),
    ("upsample_bilinear2d", 2),
    ("upsample_trilinear3d", 3),
    ("upsample_bicubic2d", 2),
]


@pytest.mark.parametrize("name", ["upsample_nearest", "_upsample_nearest_exact"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch_nearest(name: str, rank: int) -> None:
    x, target = data(*SHAPES[rank]), f"{name}{rank}d"
    for sizes in ([9, 4, 8], [2, 3, 1], list(SHAPES[rank][2:])):
        assert_bound(probe_aten(f"{target}.vec", x, sizes[:rank], None))
        probe_aten(f"{target}.default", x, sizes[:rank])
    for factor in (2.0, 1.5, 0.6):
        probe_aten(f"{target}.vec", x, None, [factor] * rank)
        sizes = [int(size * factor) for size in SHAPES[rank][2:]]
        probe_aten(f"{target}.default", x, sizes, *[factor] * rank)


@pytest.mark.parametrize(("name", "rank"), SMOOTH)
@pytest.mark.parametrize("corners", [False, True])
def test_torch_smooth(name: str, rank: int, corners: bool) -> None:
    x = data(*SHAPES[rank])
    for sizes in ([9, 4, 8], [2, 3, 1], list(SHAPES[rank][2:])):
        assert_bound(probe_aten(f"{name}.vec", x, sizes[:rank], corners, None))
        probe_aten(f"{name}.default", x, sizes[:rank], corners)
    for factor in (2.0, 1.5, 0.6):
        probe_aten(f"{name}.vec", x, None, corners, [factor] * rank)
        sizes = [int(size * factor) for size in SHAPES[rank][2:]]
        probe_aten(f"{name}.default", x, sizes, corners, *[factor] * rank)


@pytest.mark.parametrize("name", ["_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"])
def test_torch_antialias(name: str) -> None:
    for sizes in ([3, 4], [9, 8], [2, 9]):
        probe_aten(f"{name}.default", data(1, 2, 8, 7), sizes, False)
        assert_bound(probe_aten(f"{name}.vec", data(1, 2, 8, 7), sizes, False, None))


X = data(1, 3, 5, 6)


def scales(*numbers: float) -> Any:
    return np.array(numbers, np.float32).astype(np.float64)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("factors", [(1.0, 1.0, 2.0, 3.0), (1.0, 1.0, 1.6, 0.7)])
def test_onnx_before_opset_eleven(mode: str, factors: tuple[float, ...]) -> None:
    attrs = {"mode": mode}
    if min(factors) >= 1:
        probe_onnx("Upsample", 7, [X], {**attrs, "scales": list(factors)})
        probe_onnx("Upsample", 9, [X, scales(*factors)], attrs)
    probe = probe_onnx("Resize", 10, [X, scales(*factors)], attrs)
    assert len(free_atoms(probe.rule, solved(probe.rule))) == 1


PLACED = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
ROUNDED = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@pytest.mark.parametrize("coordinates", [*PLACED, "half_pixel_symmetric"])
@pytest.mark.parametrize("mode", ["linear", "cubic", *ROUNDED])
def test_onnx_resize(coordinates: str, mode: str) -> None:
    attrs: dict[str, Any] = {"coordinate_transformation_mode": coordinates, "mode": mode}
    if mode in ROUNDED:
        attrs |= {"mode": "nearest", "nearest_mode": mode}
    opsets = (19,) if coordinates == "half_pixel_symmetric" else (11, 19)
    for opset in opsets:
        nothing = scales() if opset == 11 else None
        for target in ((1, 3, 8, 4), (1, 3, 1, 12)):
            assert_bound(probe_onnx("Resize", opset, [X, nothing, nothing, np.array(target)], attrs))
        probe_onnx("Resize", opset, [X, nothing, scales(1, 1, 1.6, 0.75)], attrs)


def test_onnx_cubic_coefficients_and_borders() -> None:
    attrs = {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}
    probe_onnx("Resize", 13, [X, None, scales(1, 1, 1.6, 0.75)], attrs)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_onnx_antialias(mode: str) -> None:
    attrs = {"mode": mode, "antialias": 1}
    for outside in ({}, {"exclude_outside": 1}):
        probe_onnx("Resize", 18, [X, None, None, np.array((1, 3, 2, 4))], {**attrs, **outside})
        probe_onnx("Resize", 18, [X, None, scales(1, 1, 0.6, 0.8)], {**attrs, **outside})


def test_onnx_crops() -> None:
    roi = scales(0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2)
    attrs = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    for mode in ("linear", "nearest"):
        sizes = np.array((1, 3, 4, 5))
        probe = probe_onnx("Resize", 13, [X, roi, None, sizes], {**attrs, "mode": mode})
        assert len(free_atoms(probe.rule, solved(probe.rule))) == 1


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_onnx_keeps_the_aspect(policy: str) -> None:
    attrs = {"axes": [2, 3], "keep_aspect_ratio_policy": policy, "mode": "linear"}
    probe_onnx("Resize", 18, [X, None, None, np.array((7, 10))], attrs)
    probe_onnx("Resize", 18, [X, None, None, np.array((3, 3))], attrs)


def test_onnx_resizes_some_axes() -> None:
    attrs = {"axes": [3, -2], "mode": "linear"}
    probe_onnx("Resize", 18, [X, None, None, np.array((7, 10))], attrs)
    probe_onnx("Resize", 18, [X, None, scales(2, 0.5)], attrs)


def test_sizes_follow_a_cut_of_the_channel() -> None:
    op = registry()["resize"]
    attrs = {"axes": (0, 1, 2, 3), "sizes": (1, 3, 10, 12), "mode": "nearest", "coordinates": "asymmetric"}
    rule = op.rule(call_for(op, attrs, X))
    (channel,) = atoms_of(rule.results[0][1])
    cut = cut_attrs(attrs, rule, solved(rule).norm, {channel: np.array([1])})
    assert cut["sizes"] == (1, 1, 10, 12)


def test_interpolation_between_channels_pins_them() -> None:
    probe = probe_onnx("Resize", 13, [data(2, 4, 6), None, scales(1, 2, 1)], {"mode": "nearest"})
    dims = probe.rule.operands[0]
    assert dims is not None
    assert "resampled" in str(dims[1].pins[0])  # type: ignore[union-attr]
    assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [2, 6]


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_weights_of_an_entry_sum_to_one(mode: str) -> None:
    matrix = weights(Axis(5, 13, 2.6), Kind(mode))
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


def test_words_that_are_not_known_are_refused() -> None:
    for kind in (Kind("lanczos"), Kind(coordinates="whatever"), Kind(rounding="up")):
        with pytest.raises(UnsupportedError, match="resampling"):
            check_kind(kind)


def test_moments_of_what_is_alike_pass() -> None:
    probe = probe_aten("upsample_bilinear2d.vec", data(1, 3, 6, 6), None, False, [2.0, 2.0])
    sample = Sampler().normal(data(1, 3, 1, 1), np.ones((1, 3, 1, 1)))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample,), Sampler())
    assert moments is sample


def test_a_scale_of_one_does_not_hide_another_size() -> None:
    probe = probe_aten("upsample_nearest2d.default", data(1, 3, 5, 7), [5, 9], 1.0, 1.0)
    assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [3, 5]
