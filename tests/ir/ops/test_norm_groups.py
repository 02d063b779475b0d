"""GroupNorm and InstanceNorm in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Call, Index, Sampler, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs, cut_run, gather, kept_of, masked_run
from tests.law import call_for, solved
from tests.probe import data, probe_aten, probe_onnx

CASES: list[tuple[tuple[int, ...], int]] = [
    ((2, 6, 4, 3), 3),
    ((2, 6, 5), 1),
    ((2, 6, 5), 6),
    ((6, 6), 2),
    ((1, 4, 2, 2, 2), 2),
    ((2, 3, 1), 3),
]


@pytest.mark.parametrize(("shape", "groups"), CASES)
@pytest.mark.parametrize("affine", [False, True])
def test_torch_group_norm(shape: tuple[int, ...], groups: int, affine: bool) -> None:
    channels = shape[1]
    params = (data(channels, seed=1), data(channels, seed=2)) if affine else (None, None)
    probe_aten("group_norm.default", data(*shape), groups, *params, 1e-3)
    space = int(np.prod(shape[2:]))
    probe = probe_aten(
        "native_group_norm.default", data(*shape), *params, shape[0], channels, space, groups, 1e-3
    )
    assert len(probe.rule.results) == 3


@pytest.mark.parametrize(("shape", "groups"), CASES[:3])
def test_onnx_group_norm(shape: tuple[int, ...], groups: int) -> None:
    channels, attrs = shape[1], {"num_groups": groups, "epsilon": 1e-3}
    probe_onnx(
        "GroupNormalization", 21, [data(*shape), data(channels, seed=1), data(channels, seed=2)], attrs
    )
    per_group = [data(*shape), data(groups, seed=1), data(groups, seed=2)]
    probe_onnx("GroupNormalization", 18, per_group, attrs)


def test_whole_groups_are_cut_exactly_and_their_numbers_follow() -> None:
    op, x = registry()["group_norm"], data(2, 6, 4)
    attrs = {"groups": 3, "channels": 6, "batch": 2, "space": 4, "saved": True}
    arrays = (x, data(6, seed=1), None)
    call = call_for(op, attrs, *arrays)
    rule = op.rule(call)
    norm = solved(rule).norm
    groups, inside = atoms_of(rule.results[0][1])
    kept: dict[Any, Index] = {groups: np.array([0, 2])}
    assert groups not in {leaf for dim in rule.statistics for leaf in atoms_of(dim)}
    assert inside in {leaf for dim in rule.statistics for leaf in atoms_of(dim)}
    cut = cut_attrs(attrs, rule, norm, kept)
    assert cut == {"groups": 2, "channels": 4, "batch": 2, "space": 4, "saved": True}
    whole = masked_run(op, call, rule, norm, kept, arrays)[0]
    np.testing.assert_allclose(
        cut_run(op, call, rule, norm, kept, arrays)[0], gather(whole, kept_of(rule.results[0], norm, kept))
    )
    np.testing.assert_allclose(whole, op.run(call, arrays)[0])


@pytest.mark.parametrize("scale", [(4,), (2, 3)])
def test_a_scale_of_another_size_is_refused(scale: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedError, match="channels"):
        registry()["group_norm"].rule(Call({"groups": 3}, ((2, 6, 4), scale)))


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="4 groups"):
        registry()["group_norm"].rule(Call({"groups": 4}, ((2, 6, 4),)))


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 3, 4, 2), (1, 1, 2, 3, 2)])
@pytest.mark.parametrize("affine", [False, True])
def test_torch_instance_norm(shape: tuple[int, ...], affine: bool) -> None:
    channels = shape[1]
    params = (data(channels, seed=1), data(channels, seed=2)) if affine else (None, None)
    carried: tuple[Array, Array] = data(channels, seed=3), data(channels, seed=4, low=0.3)
    probe_aten("instance_norm.default", data(*shape), *params, None, None, True, 0.1, 1e-3, False)
    probe_aten("instance_norm.default", data(*shape), *params, *carried, True, 0.1, 1e-3, False)
    probe = probe_aten("instance_norm.default", data(*shape), *params, *carried, False, 0.1, 1e-3, False)
    assert not probe.rule.statistics


@pytest.mark.parametrize("opset", [7, 22])
def test_onnx_instance_norm(opset: int) -> None:
    for shape in ((2, 3, 5), (3, 3, 4, 2)):
        inputs = [data(*shape), data(3, seed=1), data(3, seed=2)]
        probe_onnx("InstanceNormalization", opset, inputs, {"epsilon": 1e-3})


def test_moments_of_an_instance_are_shift_and_scale() -> None:
    probe = probe_onnx("InstanceNormalization", 7, [data(2, 3, 5), data(3, seed=1), data(3, seed=2)])
    samples = tuple(None if array is None else array[None] for array in probe.arrays)
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (None, *samples[1:]), Sampler())
    assert moments is not None
    np.testing.assert_allclose(moments.mean(axis=0).ravel(), probe.arrays[2], atol=1e-9)
    np.testing.assert_allclose(moments.std(axis=0).ravel(), abs(np.asarray(probe.arrays[1])))
