"""Reshape, flatten, squeeze and unsqueeze in every spelling, and the factorisation that they share."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunepass.ir import Atom, Call, Fixed, Prod, Rule, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.law import check
from tests.probe import data, probe_aten, probe_onnx

Shape = tuple[int, ...]

RESHAPES: list[tuple[Shape, list[int]]] = [
    ((2, 6, 4), [2, 24]),
    ((2, 24), [2, 2, 3, 4]),
    ((2, 3, 4, 5), [-1]),
    ((2, 3, 4), [4, 3, 2]),
    ((2, 3, 4), [3, -1, 1, 2]),
    ((1, 6, 1), [6]),
    ((12, 2), [8, 3]),
    ((0, 3), [3, 0]),
    ((), [1, 1]),
    ((1,), []),
    ((7,), [7]),
    ((4, 4), [2, 8]),
]


@pytest.mark.parametrize("target", ["reshape", "view", "_unsafe_view", "view_copy"])
@pytest.mark.parametrize(("shape", "new"), RESHAPES)
def test_torch_reshapes(target: str, shape: Shape, new: list[int]) -> None:
    probe_aten(f"{target}.default", data(*shape), new)


@pytest.mark.parametrize("opset", [7, 13, 14, 25])
@pytest.mark.parametrize(("shape", "new"), [*RESHAPES, ((2, 3, 4), [0, -1]), ((2, 3, 4), [0, 0, 2, 2])])
def test_onnx_reshapes(opset: int, shape: Shape, new: list[int]) -> None:
    if 0 not in shape:
        probe_onnx("Reshape", opset, [data(*shape), np.array(new, np.int64)])


def test_onnx_zero_is_a_size_where_allowed() -> None:
    probe = probe_onnx("Reshape", 14, [data(3, 0), np.array([0, 7], np.int64)], {"allowzero": 1})
    assert probe.call.results == ((0, 7),)


@pytest.mark.parametrize(("start", "end"), [(0, -1), (1, -1), (1, 2), (2, 2)])
def test_torch_flatten(start: int, end: int) -> None:
    probe_aten("flatten.using_ints", data(2, 3, 4, 5), start, end)
    assert "shape" not in probe_aten("flatten.using_ints", data(2, 3, 2)).call.attrs


def test_torch_flatten_makes_a_number_a_vector() -> None:
    assert probe_aten("flatten.using_ints", data()).call.results == ((1,),)


@pytest.mark.parametrize("opset", [9, 11, 21])
@pytest.mark.parametrize("attrs", [{}, {"axis": 0}, {"axis": 3}, {"axis": 2}, {"axis": -1}])
def test_onnx_flatten(opset: int, attrs: dict[str, int]) -> None:
    if opset > 9 or attrs.get("axis", 0) >= 0:
        probe_onnx("Flatten", opset, [data(2, 3, 4)], attrs)


@pytest.mark.parametrize("axes", [[0], [-1, 2], [1], [], [0, 1, 2, 3]])
def test_torch_squeeze_passes_over_axes_with_more_entries(axes: list[int]) -> None:
    probe_aten("squeeze.dims", data(1, 3, 1, 1), axes)


@pytest.mark.parametrize("axis", [0, 2, -1])
def test_torch_unsqueeze(axis: int) -> None:
    probe_aten("unsqueeze.default", data(2, 3), axis)


def test_a_number_gets_an_axis() -> None:
    probe_aten("unsqueeze.default", data(), 0)
    probe_onnx("Unsqueeze", 13, [np.array(3.0), np.array([0], np.int64)])


@pytest.mark.parametrize("axes", [[0], [1, -1]])
def test_onnx_axes_moved_from_attribute_to_input(axes: list[int]) -> None:
    for kind, shape in (("Squeeze", (1, 1, 3, 1)), ("Unsqueeze", (2, 3))):
        x = data(*shape)
        probe_onnx(kind, 11, [x], {"axes": axes})
        assert probe_onnx(kind, 13, [x, np.array(axes, np.int64)]).op.name == kind.lower()


@pytest.mark.parametrize("opset", [7, 13, 25])
def test_onnx_squeeze_drops_every_single_entry_unless_told(opset: int) -> None:
    assert probe_onnx("Squeeze", opset, [data(1, 3, 1)]).call.results == ((3,),)


def reshape(old: Shape, new: Shape) -> Rule:
    return registry()["reshape"].rule(Call({"shape": new}, (old,)))


def test_channels_keep_their_identity_through_flatten_and_heads() -> None:
    rule = reshape((2, 8, 3, 3), (2, 72))
    channel = rule.operands[0][1]  # type: ignore[index]
    flat = rule.results[0][1]
    assert isinstance(flat, Prod) and flat.parts[0] is channel and flat.size == 72
    heads = reshape((5, 12), (5, 3, 4)).operands[0][1]  # type: ignore[index]
    assert isinstance(heads, Prod) and [part.size for part in heads.parts] == [3, 4]


def test_only_the_block_without_common_factor_is_pinned() -> None:
    """12 x 2 and 8 x 3 share blocks of 6; their 4 repetitions are one index space of both."""
    rule = reshape((12, 2), (8, 3))
    (left, _), (right, _) = rule.operands[0] or (), rule.results[0]
    assert isinstance(left, Prod) and isinstance(right, Prod)
    assert left.parts[0] is right.parts[0] and left.parts[0].size == 4
    frozen = [part for part in (*left.parts[1:], *right.parts[1:]) if isinstance(part, Fixed)]
    assert [part.size for part in frozen] == [3, 2]
    assert "groups these entries anew" in str(frozen[0].pins[0])


def test_dims_of_one_entry_carry_nothing() -> None:
    rule = reshape((6, 1), (1, 6))
    assert rule.operands[0][0] is rule.results[0][1]  # type: ignore[index]


def test_the_target_follows_a_cut() -> None:
    rule = reshape((2, 12), (2, 3, 4))
    heads = next(leaf for leaf in atoms_of(rule.operands[0][1]) if leaf.size == 3)  # type: ignore[index]
    cut: dict[Atom, Any] = {heads: np.array([0, 2])}
    assert cut_attrs({"shape": (2, 3, 4)}, rule, lambda dim: dim, cut) == {"shape": (2, 2, 4)}


@pytest.mark.parametrize(("old", "new"), [((2, 3), (5,)), ((2, 3), (0, 7))])
def test_shapes_of_other_size_are_refused(old: Shape, new: Shape) -> None:
    with pytest.raises(UnsupportedError, match="cannot be reshaped"):
        reshape(old, new)


def test_squeezing_more_than_one_entry_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="cannot be squeezed"):
        registry()["squeeze"].rule(Call({"axes": (1,)}, ((2, 3),)))


FACTORS = st.lists(st.sampled_from([1, 2, 2, 3, 4, 5]), min_size=1, max_size=5).filter(
    lambda f: prod(f) <= 240
)


@st.composite
def groupings(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Two shapes that group one row of factors, each in its own way."""
    factors = draw(FACTORS)
    made = []
    for _ in range(2):
        shape = [factors[0]]
        for factor in factors[1:]:
            if draw(st.booleans()):
                shape.append(factor)
            else:
                shape[-1] *= factor
        made.append(tuple(shape))
    return made[0], made[1]


@settings(max_examples=60)
@given(groupings())
def test_groupings_of_the_same_factors_pin_nothing(shapes: tuple[Shape, Shape]) -> None:
    old, new = shapes
    rule = check(registry()["reshape"], {"shape": new}, data(*old), real=lambda x: x.reshape(new))
    assert all(not isinstance(part, Fixed) or not part.pins for part in rule.operands[0] or ())
    free = {leaf for dim in rule.operands[0] or () for leaf in atoms_of(dim)}
    assert prod(leaf.size for leaf in free) == prod(old)


@settings(max_examples=60)
@given(FACTORS, st.randoms(use_true_random=False))
def test_the_law_holds_for_any_two_shapes_of_one_size(factors: list[int], random: Any) -> None:
    shuffled = random.sample(factors, len(factors))
    cut = random.randrange(len(factors) + 1)
    new = (prod(shuffled[:cut]), *shuffled[cut:])
    check(registry()["reshape"], {"shape": new}, data(*factors), real=lambda x: x.reshape(new))
