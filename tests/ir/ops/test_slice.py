"""Slices and single entries, read and written, in every spelling."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunepass.ir import Fixed, Prod, atoms_of, kept_size, registry
from prunepass.ir._cutting import cut_attrs
from prunepass.ir.ops._slice import _bounds
from tests.law import call_for, check_cut, check_dependence, occurrences
from tests.probe import data, probe_aten, probe_onnx

BOUNDS: list[tuple[Any, Any, int]] = [
    (None, None, 1),
    (0, sys.maxsize, 1),
    (2, 5, 1),
    (-3, -1, 1),
    (4, 2, 1),
    (0, 7, 2),
    (1, sys.maxsize, 2),
    (2, 7, 3),
    (-6, 6, 4),
    (6, 7, 2),
    (5, 3, 2),
]


@pytest.mark.parametrize(("start", "end", "step"), BOUNDS)
@pytest.mark.parametrize("axis", [0, -2])
def test_torch_slice(start: Any, end: Any, step: int, axis: int) -> None:
    shape = (7, 2) if axis in (0, -2) else (2, 7)
    probe_aten("slice.Tensor", data(*shape), axis, start, end, step)
    count = len(range(*slice(start, end, step).indices(7)))
    probe_aten("slice_scatter.default", data(*shape), data(count, 2, seed=1), axis, start, end, step)


@pytest.mark.parametrize("index", [0, 2, -1])
@pytest.mark.parametrize("axis", [1, -1])
def test_torch_select(index: int, axis: int) -> None:
    probe_aten("select.int", data(2, 4, 5), axis, index)
    source = data(*np.delete([2, 4, 5], axis), seed=1)
    probe_aten("select_scatter.default", data(2, 4, 5), source, axis, index)


SLICES: list[tuple[list[int], list[int], list[int] | None, list[int] | None]] = [
    ([1], [3], None, None),
    ([0, 1], [2**31 - 1, -1], None, None),
    ([1, 0], [6, 2], [-1, 0], None),
    ([0, 1], [4, 2**63 - 1], [0, 1], [2, 2]),
    ([-1, 5], [-(2**63), 0], [0, 1], [-1, -2]),
    ([3], [-100], [1], [-1]),
    ([4], [2], [1], [1]),
]


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES)
@pytest.mark.parametrize("opset", [10, 13, 25])
def test_onnx_slice(opset: int, starts: Any, ends: Any, axes: Any, steps: Any) -> None:
    given = [None if part is None else np.array(part, np.int64) for part in (starts, ends, axes, steps)]
    while given[-1] is None:
        given.pop()
    probe = probe_onnx("Slice", opset, [data(4, 6), *given])
    if opset == 10 and steps is None and axes is None:
        older = probe_onnx("Slice", 9, [data(4, 6)], {"starts": starts, "ends": ends})
        assert older.call.attrs == probe.call.attrs


def test_onnx_slice_of_opset_9_names_its_axes() -> None:
    probe_onnx("Slice", 9, [data(4, 6)], {"starts": [1, -3], "ends": [3, 10], "axes": [1, 0]})


def test_a_range_is_a_segment_and_its_bounds_follow() -> None:
    probe = probe_aten("slice.Tensor", data(2, 8), 1, 2, 5)
    before, taken, _ = atoms_of(probe.rule.operands[0][1])  # type: ignore[index]
    assert probe.rule.results[0][1] is taken
    cut = {before: np.array([1]), taken: np.array([0, 2])}
    attrs = cut_attrs(probe.call.attrs, probe.rule, lambda dim: dim, cut)
    assert (attrs["start"], attrs["stop"]) == (1, 3)


def test_every_second_entry_keeps_pairs_together() -> None:
    """The halves of a rotary embedding: pairs go, never one of a pair."""
    even = probe_aten("slice.Tensor", data(3, 8), 1, 0, sys.maxsize, 2).rule
    odd = probe_aten("slice.Tensor", data(3, 8), 1, 1, sys.maxsize, 2).rule
    for rule in (even, odd):
        whole = rule.operands[0][1]  # type: ignore[index]
        assert isinstance(whole, Prod) and whole.parts[0] is rule.results[0][1]
        assert isinstance(whole.parts[1], Fixed) and "one of every 2 entries" in str(whole.parts[1].pins[0])


def test_one_entry_leaves_the_others_free() -> None:
    rule = probe_aten("select.int", data(2, 6), 1, 2).rule
    before = rule.sizes["index"]
    assert not isinstance(before, tuple) and kept_size(before, {}) == 2
    assert sorted(leaf.size for leaf in occurrences(rule)) == [2, 2, 3]


@settings(max_examples=150)
@given(
    st.integers(1, 9), st.none() | st.integers(-10, 10), st.none() | st.integers(-10, 10), st.integers(1, 4)
)
def test_the_law_holds_for_any_slice(size: int, start: int | None, stop: int | None, step: int) -> None:
    x, op = data(2, size), registry()["slice"]
    first, last = _bounds(size, start, stop, step)
    attrs = {"axis": 1, "start": first, "stop": last, "step": step}
    call = call_for(op, attrs, x)
    np.testing.assert_array_equal(op.run(call, (x,))[0], x[:, start:stop:step])
    rule = op.rule(call)
    for seed in range(3):
        check_cut(op, call, rule, (x,), np.random.default_rng(seed))
    check_dependence(op, call, rule, (x,), np.random.default_rng(0))
    assert cut_attrs(attrs, rule, lambda dim: dim, {}) == attrs
