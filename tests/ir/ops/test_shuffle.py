"""Rolls, flips, pixel and channel shuffles in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Call, Fixed, Prod, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.probe import data, probe_aten, probe_onnx


@pytest.mark.parametrize("shape", [(2, 8, 2, 3), (12, 1, 2), (2, 3, 4, 4, 2)])
def test_torch_pixel_shuffles(shape: tuple[int, ...]) -> None:
    rule = probe_aten("pixel_shuffle.default", data(*shape), 2).rule
    deep = rule.operands[0][-3]  # type: ignore[index]
    assert isinstance(deep, Prod | Fixed) and deep.size == shape[-3]
    lead = (*shape[:-2], 2 * shape[-2], 4 * shape[-1])
    probe_aten("pixel_unshuffle.default", data(*lead), 2)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("opset", [11, 13])
def test_onnx_depth_to_space_orders_block_and_channel(mode: str, opset: int) -> None:
    probe = probe_onnx("DepthToSpace", opset, [data(2, 12, 2, 3)], {"blocksize": 2, "mode": mode})
    deep = probe.rule.operands[0][1]  # type: ignore[index]
    assert isinstance(deep, Prod)
    assert deep.parts[-1 if mode == "DCR" else 0] is probe.rule.results[0][1]


def test_onnx_blocks_come_first_unless_told() -> None:
    probe_onnx("DepthToSpace", 7, [data(1, 8, 1, 2)], {"blocksize": 2})
    probe_onnx("SpaceToDepth", 7, [data(2, 3, 4, 6)], {"blocksize": 2})
    probe_onnx("SpaceToDepth", 13, [data(2, 3, 3, 6)], {"blocksize": 3})


@pytest.mark.parametrize("shape", [(1, 3, 2, 2), (1, 6, 2, 2)])
def test_blocks_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedError, match="do not fit"):
        registry()["depth_to_space"].rule(Call({"block": 2, "block_first": True}, (shape,)))


@pytest.mark.parametrize("target", ["channel_shuffle.default", "native_channel_shuffle.default"])
@pytest.mark.parametrize("shape", [(2, 6, 2, 2), (1, 12, 3, 1)])
def test_torch_channel_shuffle_exchanges_groups_and_channels(target: str, shape: tuple[int, ...]) -> None:
    probe = probe_aten(target, data(*shape), 3)
    before, after = probe.rule.operands[0][1], probe.rule.results[0][1]  # type: ignore[index]
    assert isinstance(before, Prod) and isinstance(after, Prod)
    assert before.parts == after.parts[::-1]
    groups = next(atoms_of(before))
    cut = cut_attrs(probe.call.attrs, probe.rule, lambda dim: dim, {groups: np.array([0, 2])})
    assert cut == {"groups": 2}


ROLLS: list[tuple[list[int], list[int]]] = [
    ([1], [1]),
    ([-2], [-1]),
    ([7], [0]),
    ([2, -1], [1, 2]),
    ([1, 1], [1, 1]),
    ([0], [1]),
    ([3], []),
]


@pytest.mark.parametrize(("shifts", "axes"), ROLLS)
def test_torch_roll(shifts: list[int], axes: list[int]) -> None:
    probe_aten("roll.default", data(2, 5, 4), shifts, axes)


def test_a_roll_exchanges_two_segments_and_its_shift_follows() -> None:
    probe = probe_aten("roll.default", data(2, 6), [2], [1])
    before, after = (
        tuple(atoms_of(dims[1])) for dims in (probe.rule.operands[0] or (), probe.rule.results[0])
    )
    assert before == after[::-1]
    cut: Any = cut_attrs(probe.call.attrs, probe.rule, lambda dim: dim, {before[1]: np.array([1])})
    assert cut["shifts"] == (1,)


@pytest.mark.parametrize("axes", [[0], [1, -1], []])
def test_a_flip_is_pinned(axes: list[int]) -> None:
    dims = probe_aten("flip.default", data(2, 3, 4), axes).rule.results[0]
    for axis, dim in enumerate(dims):
        assert isinstance(dim, Fixed) == (axis in [a % 3 for a in axes])
