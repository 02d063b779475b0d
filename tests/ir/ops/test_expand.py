"""Expand, tile and repeat in every spelling."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Atom, Call, Prod, UnsupportedError, registry
from tests.probe import data, probe_aten, probe_onnx

Shape = tuple[int, ...]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 3), [4, -1]),
        ((3,), [2, 4, 3]),
        ((2, 1, 3), [-1, 5, -1]),
        ((), [2, 2]),
        ((1, 1), [1, 1]),
        ((1,), [0]),
    ],
)
def test_torch_expand(shape: Shape, size: list[int]) -> None:
    probe_aten("expand.default", data(*shape), size)


@pytest.mark.parametrize("opset", [8, 13, 25])
@pytest.mark.parametrize(
    ("shape", "target"), [((3, 1), [2, 1, 6]), ((2, 3), [1]), ((2, 3), [2, 1]), ((), [3])]
)
def test_onnx_expand_broadcasts_both_sides(opset: int, shape: Shape, target: list[int]) -> None:
    probe_onnx("Expand", opset, [data(*shape), np.array(target, np.int64)])


def test_what_does_not_broadcast_is_refused() -> None:
    for shape in ((2, 3), (1, 4, 3)):
        with pytest.raises(UnsupportedError, match="cannot be expanded"):
            registry()["expand"].rule(Call({"shape": (4, 3)}, (shape,)))


def test_a_copied_entry_is_one_index_and_the_copies_another() -> None:
    rule = probe_aten("expand.default", data(2, 1, 3), [2, 5, 3]).rule
    assert rule.results[0][1].size == 5 and isinstance(rule.results[0][1], Atom)
    assert rule.results[0][2] is rule.operands[0][2]  # type: ignore[index]


@pytest.mark.parametrize("source", [(2, 3), (3,), (), (2, 1)])
def test_torch_copy_takes_shape_and_dtype_of_what_it_overwrites(source: Shape) -> None:
    probe_aten("copy.default", data(2, 3), data(*source, seed=1))
    probe_aten("copy.default", np.zeros((2, 3), np.int64), data(*source, seed=1, high=9.0))


@pytest.mark.parametrize(
    ("shape", "repeats"),
    [((2, 3), [1, 2]), ((2, 3), [2, 1, 3]), ((3,), [4, 2]), ((2,), [0]), ((), [3]), ((1, 2), [3, 1])],
)
def test_torch_repeat(shape: Shape, repeats: list[int]) -> None:
    probe_aten("repeat.default", data(*shape), repeats)


@pytest.mark.parametrize("opset", [7, 13])
@pytest.mark.parametrize("repeats", [[1, 1], [2, 1], [3, 2]])
def test_onnx_tile(opset: int, repeats: list[int]) -> None:
    probe_onnx("Tile", opset, [data(2, 3), np.array(repeats, np.int64)])


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("repeats", [1, 3])
def test_torch_repeat_interleave(axis: int | None, repeats: int) -> None:
    probe_aten("repeat_interleave.self_int", data(2, 3), repeats, axis)


def test_copies_stand_outside_when_tiled_and_inside_when_repeated() -> None:
    tiled = probe_aten("repeat.default", data(3), [2]).rule
    repeated = probe_aten("repeat_interleave.self_int", data(3), 2, 0).rule
    for rule, at in ((tiled, 1), (repeated, 0)):
        made = rule.results[0][0]
        assert isinstance(made, Prod) and made.parts[at] is rule.operands[0][0]  # type: ignore[index]
        assert rule.sizes["repeats"] in (made.parts[1 - at], (made.parts[1 - at],))
