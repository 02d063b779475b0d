"""Convolution in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Sampler, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.law import call_for, free_atoms, solved
from tests.probe import assert_bound, assert_share, data, probe_aten, probe_onnx

# (data, weight, groups, stride, padding, dilation)
PLAIN: list[tuple[Any, ...]] = [
    ("conv1d", (2, 4, 9), (6, 4, 3), 1, [2], [1], [1]),
    ("conv2d", (2, 6, 7, 5), (4, 3, 3, 2), 2, [2, 1], [1, 0], [1, 2]),
    ("conv2d", (1, 4, 6, 6), (4, 1, 3, 3), 4, [1, 1], [1, 1], [1, 1]),
    ("conv2d", (1, 3, 6, 6), (6, 1, 3, 3), 3, [2, 2], [1, 1], [1, 1]),
    ("conv2d", (3, 3, 5, 5), (3, 3, 1, 1), 1, [1, 1], [0, 0], [1, 1]),
    ("conv2d", (2, 1, 5, 5), (2, 1, 3, 3), 1, [1, 1], [0, 0], [1, 1]),
    ("conv2d", (4, 7, 5), (6, 2, 3, 3), 2, [1, 1], [1, 1], [1, 1]),
    ("conv2d", (0, 4, 5, 5), (2, 4, 3, 3), 1, [1, 1], [1, 1], [1, 1]),
    ("conv3d", (1, 4, 4, 5, 3), (2, 2, 2, 3, 2), 2, [1, 2, 1], [0, 1, 1], [1, 1, 2]),
]


@pytest.mark.parametrize(("name", "x", "weight", "groups", "stride", "padding", "dilation"), PLAIN)
@pytest.mark.parametrize("biased", [False, True])
def test_torch_convolutions(
    name: str, x: Any, weight: Any, groups: int, stride: Any, padding: Any, dilation: Any, biased: bool
) -> None:
    bias = data(weight[0], seed=3) if biased else None
    args = (data(*x), data(*weight, seed=1), bias, stride, padding, dilation)
    probe = probe_aten(f"{name}.default", *args, groups)
    assert_bound(probe)
    if not biased:
        assert_share(probe, 0)
        assert_share(probe, 1)
    if len(x) == len(weight):
        probe_aten("convolution.default", *args, False, [0], groups)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_torch_padding_in_words(padding: str, kernel: int) -> None:
    probe_aten("conv1d.padding", data(2, 3, 9), data(4, 3, kernel), None, [1], padding, [2])
    probe_aten("conv2d.padding", data(2, 4, 9, 7), data(4, 2, kernel, 4), data(4), [1, 1], padding, [1, 1], 2)


TRANSPOSED: list[tuple[Any, ...]] = [
    ("conv_transpose1d.default", (2, 4, 5), (4, 3, 3), 1, [2], [1], [1], [1]),
    ("conv_transpose2d.input", (2, 6, 4, 3), (6, 2, 3, 2), 2, [2, 3], [1, 0], [1, 2], [1, 1]),
    ("conv_transpose2d.input", (1, 4, 4, 4), (4, 1, 2, 2), 4, [2, 2], [0, 0], [0, 0], [1, 1]),
    ("conv_transpose2d.input", (4, 4, 4), (4, 3, 3, 3), 1, [2, 2], [1, 1], [0, 0], [2, 1]),
    (
        "conv_transpose3d.input",
        (1, 2, 3, 2, 3),
        (2, 3, 2, 2, 3),
        1,
        [2, 1, 2],
        [0, 0, 1],
        [1, 0, 0],
        [1, 1, 1],
    ),
]


@pytest.mark.parametrize(
    ("target", "x", "weight", "groups", "stride", "padding", "extra", "dilation"), TRANSPOSED
)
@pytest.mark.parametrize("biased", [False, True])
def test_torch_transposed_convolutions(
    target: str,
    x: Any,
    weight: Any,
    groups: int,
    stride: Any,
    padding: Any,
    extra: Any,
    dilation: Any,
    biased: bool,
) -> None:
    bias = data(weight[1] * groups, seed=3) if biased else None
    args = (data(*x), data(*weight, seed=1), bias, stride, padding)
    probe = probe_aten(target, *args, extra, groups, dilation)
    assert_bound(probe)
    if not biased:
        assert_share(probe, 0)
        assert_share(probe, 1)
    if len(x) == len(weight):
        probe_aten("convolution.default", *args, dilation, True, extra, groups)


@pytest.mark.parametrize("opset", [7, 11, 22])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 2]},
        {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [1, 2]},
        {"auto_pad": "VALID"},
        {"group": 2},
    ],
)
def test_onnx_convolutions(opset: int, attrs: dict[str, Any]) -> None:
    x, weight = data(2, 4, 8, 7), data(4, 4 // attrs.get("group", 1), 3, 2, seed=1)
    probe_onnx("Conv", opset, [x, weight, data(4, seed=2)], attrs)
    probe_onnx("Conv", opset, [x, weight], attrs)


def test_onnx_convolution_in_one_dim_pads_each_end_apart() -> None:
    probe_onnx("Conv", 13, [data(2, 4, 8), data(3, 4, 3)], {"pads": [2, 0]})


@pytest.mark.parametrize("opset", [7, 11, 22])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
        {"strides": [2, 2], "output_shape": [9, 8]},
        {"strides": [2, 2], "output_shape": [8, 7], "output_padding": [1, 0]},
        {"strides": [2, 2], "output_shape": [8, 7], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"strides": [2, 1], "auto_pad": "VALID", "group": 2},
        {"dilations": [2, 1]},
    ],
)
def test_onnx_transposed_convolutions(opset: int, attrs: dict[str, Any]) -> None:
    groups = attrs.get("group", 1)
    probe_onnx("ConvTranspose", opset, [data(2, 4, 4, 4), data(4, 3, 3, 3, seed=1), data(3 * groups)], attrs)


def test_channels_that_do_not_fit_the_weight_are_refused() -> None:
    op = registry()["conv"]
    with pytest.raises(UnsupportedError, match="in 2 groups"):
        op.rule(call_for_shapes((1, 5, 4, 4), (4, 2, 1, 1)))


def call_for_shapes(*shapes: tuple[int, ...]) -> Any:
    from prunepass.ir import Call

    return Call({"groups": 2}, shapes)


def test_groups_follow_a_cut_of_whole_groups() -> None:
    op = registry()["conv"]
    x, weight = data(1, 6, 4, 4), data(6, 2, 1, 1)
    rule = op.rule(call_for(op, {"groups": 3}, x, weight))
    group = next(atoms_of(rule.results[0][1]))
    attrs = cut_attrs({"groups": 3}, rule, solved(rule).norm, {group: np.array([0, 2])})
    assert attrs == {"groups": 2}


def test_depthwise_contracts_no_channel() -> None:
    op = registry()["conv"]
    rule = op.rule(call_for(op, {"groups": 4}, data(2, 4, 5, 5), data(4, 1, 3, 3)))
    assert not [leaf for dim in rule.contracted for leaf in atoms_of(dim)]
    assert len(free_atoms(rule, solved(rule))) == 2  # batch and channel


def test_moments_of_a_convolution_are_those_of_random_data() -> None:
    probe = probe_aten("conv2d.default", data(1, 4, 9, 9), data(3, 4, 3, 3, seed=1), data(3), [1, 1], [0, 0])
    sampler = Sampler(5)
    mean, deviation = data(1, 4, 1, 1, seed=7), data(1, 4, 1, 1, seed=8, low=0.5)
    (moments,) = probe.op.flow.moments(
        probe.op,
        probe.call,
        (sampler.normal(mean, deviation), *(a[None] for a in probe.arrays[1:] if a is not None)),
        sampler,
    )
    draws = np.random.default_rng(0).normal(mean, deviation, (4000, 4, 9, 9))
    real = probe.op.run(probe.call, (draws, *probe.arrays[1:]))[0]
    assert moments is not None
    assert moments.shape[1:] == (1, 3, 1, 1)
    np.testing.assert_allclose(moments.mean(axis=0).ravel(), real.mean(axis=(0, 2, 3)), atol=0.02)
    np.testing.assert_allclose(moments.var(axis=0).ravel(), real.var(axis=(0, 2, 3)), rtol=0.02)
