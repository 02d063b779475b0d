"""Sizes that the model states or computes while it runs, after a cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from prunepass.hosts.onnx import capture, replay, to_proto
from prunepass.ir import Array, UnsupportedError
from tests.hosts.onnx.models import agrees, initializer, kinds, node_of, opened, round_trip, shrunk, weights

CONVS = {"w1": weights(12, 3, 1, 1), "w2": weights(4, 12, 1, 1)}
FLAT = {"w1": weights(12, 3, 1, 1), "w2": weights(12 * 4, 5), "b2": weights(5)}


def ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def target_of(model: Any, kind: str = "Reshape", at: int = 0) -> list[int]:
    value = node_of(model, kind, at).inputs[1]
    assert value is not None and value.const_value is not None
    return list(value.const_value.numpy().tolist())


def flat(target: Array) -> tuple[str, dict[str, Array]]:
    text = """(float[N,3,2,2] x) => (float[N,5] y) {
        a = Conv(x, w1)
        f = Reshape(a, target)
        y = Gemm(f, w2, b2)
    }"""
    return text, {**FLAT, "target": target}


@pytest.mark.parametrize("target", [(0, -1), (-1, 48), (0, 48)])
def test_0_and_minus_1_stay_in_a_reshape_target(target: tuple[int, int]) -> None:
    text, arrays = flat(ints(*target))
    _, small, pruned = round_trip(opened(text, arrays))
    left = small.params["w1"].shape[0]
    assert target_of(pruned) == [size if size <= 0 else 4 * left for size in target]


def test_a_target_without_special_entries_is_rewritten() -> None:
    text, arrays = flat(ints(1, 48))
    text = text.replace("N,", "1,")
    _, small, pruned = round_trip(opened(text, arrays))
    assert target_of(pruned) == [1, 4 * small.params["w1"].shape[0]]


def test_a_target_that_two_reshapes_share_is_copied_for_the_one_that_changes() -> None:
    text = """(float[1,3,2,2] x) => (float[1,48] y, float[1,5] z) {
        a = Conv(x, w0)
        y = Reshape(a, target)
        b = Conv(x, w1)
        f = Reshape(b, target)
        z = Gemm(f, w2, b2)
    }"""
    arrays = {**FLAT, "w0": weights(12, 3, 1, 1, seed=5), "target": ints(1, 48)}
    _, small, pruned = round_trip(opened(text, arrays))
    assert target_of(pruned) == [1, 48]
    assert target_of(pruned, at=1) == [1, 4 * small.params["w1"].shape[0]]


def test_one_copy_serves_all_reshapes_that_change_alike() -> None:
    text = """(float[N,3,2,2] x) => (float[N,5] y, float[N,12,2,2] c) {
        a = Conv(x, w1)
        r = Relu(a)
        f = Reshape(a, target)
        g = Reshape(r, target)
        s = Add(f, g)
        y = Gemm(s, w2, b2)
        c = Conv(x, w0)
    }"""
    arrays = {**FLAT, "w0": weights(12, 3, 1, 1, seed=5), "target": ints(-1, 48)}
    _, _, pruned = round_trip(opened(text, arrays))
    assert node_of(pruned, "Reshape").inputs[1] is node_of(pruned, "Reshape", 1).inputs[1]
    assert set(pruned.graph.initializers) - {"target"} >= {"w0", "w1", "w2"}
    assert "target" not in pruned.graph.initializers or target_of(pruned)[1] < 48


COMPUTED = """(float[N,3,2,2] x) => (float[N,5] y) {
    a = Conv(x, w1)
    s = Shape(a)
    n = Gather(s, first)
    n1 = Unsqueeze(n, axes)
    t = Concat<axis=0>(n1, rest)
    f = Reshape(a, t)
    y = Gemm(f, w2, b2)
}"""
COMPUTED_ARRAYS = {**FLAT, "first": np.array(0, np.int64), "axes": ints(0), "rest": ints(48)}


def test_a_computed_target_is_corrected_in_the_entry_that_is_wrong() -> None:
    _, small, pruned = round_trip(opened(COMPUTED, COMPUTED_ARRAYS))
    corrections = node_of(pruned, "Where")
    mask = corrections.inputs[0]
    assert mask is not None and mask.const_value is not None
    assert mask.const_value.numpy().tolist() == [False, True]
    assert kinds(pruned).count("Where") == 1
    assert small.nodes[1].attrs["shape"] == (1, 4 * small.params["w1"].shape[0])


def test_a_computed_target_that_comes_out_right_is_left_alone() -> None:
    _, _, pruned = round_trip(opened(COMPUTED, {**COMPUTED_ARRAYS, "rest": ints(-1)}))
    assert "Where" not in kinds(pruned)
    text = COMPUTED.replace("Gather(s, first)", "Gather(s, both)").replace("t = Concat<axis=0>(n1, rest)", "")
    text = text.replace(
        "n1 = Unsqueeze(n, axes)", "c = ReduceProd<keepdims=0>(n)\n t = Concat<axis=0>(minus, c1)"
    )
    text = text.replace("t = Concat", "c1 = Unsqueeze(c, axes)\n t = Concat")
    arrays = {**COMPUTED_ARRAYS, "both": ints(1, 2, 3), "minus": ints(-1)}
    _, _, pruned = round_trip(opened(text, {k: v for k, v in arrays.items() if k not in ("first", "rest")}))
    assert "Where" not in kinds(pruned)


def test_a_computed_target_of_a_static_model_becomes_a_constant() -> None:
    _, small, pruned = round_trip(opened(COMPUTED.replace("N,", "2,"), COMPUTED_ARRAYS))
    assert "Where" not in kinds(pruned)
    assert target_of(pruned) == [2, 4 * small.params["w1"].shape[0]]


def test_before_opset_9_the_correction_is_arithmetic() -> None:
    text = COMPUTED.replace("n1 = Unsqueeze(n, axes)", "n1 = Unsqueeze<axes=[0]>(n)")
    arrays = {name: data for name, data in COMPUTED_ARRAYS.items() if name != "axes"}
    _, _, pruned = round_trip(opened(text, arrays, opset=8))
    assert {"Mul", "Add"} <= set(kinds(pruned))


def test_an_entry_that_varies_and_is_cut_is_scaled() -> None:
    text = """(float[1,S,3] x) => (float[1,Z] y) {
        h = MatMul(x, w1)
        s = Shape(x)
        n = Gather(s, one)
        c = Mul(n, width)
        c1 = Unsqueeze(c, axes)
        t = Concat<axis=0>(lead, c1)
        f = Reshape(h, t)
        e = Reshape(f, back)
        y0 = MatMul(e, w2)
        y = Reshape(y0, out)
    }"""
    arrays = {
        "w1": weights(3, 12),
        "w2": weights(12, 1),
        "one": np.array(1, np.int64),
        "width": np.array(12, np.int64),
        "axes": ints(0),
        "lead": ints(1),
        "back": ints(1, -1, 12),
        "out": ints(1, -1),
    }
    _, _, pruned = round_trip(opened(text, arrays))
    assert {"Mul", "Div"} <= set(kinds(pruned))


def test_a_scale_that_is_computed_from_a_cut_size_keeps_its_value() -> None:
    text = """(float[N,4,6] x) => (float[N,4,4] y) {
        q = MatMul(x, wq)
        k = MatMul(x, wk)
        kt = Transpose<perm=[0,2,1]>(k)
        p = MatMul(q, kt)
        s = Shape(q)
        d = Gather(s, last)
        f = Cast<to=1>(d)
        r = Sqrt(f)
        y = Div(p, r)
    }"""
    arrays = {"wq": weights(6, 16), "wk": weights(6, 16, seed=1), "last": np.array(2, np.int64)}
    _, small, pruned = round_trip(opened(text, arrays))
    assert small.params["wq"].shape[1] < 16
    divisor = node_of(pruned, "Div").inputs[1]
    assert divisor is not None and divisor.const_value is not None
    assert float(divisor.const_value.numpy()) == 4.0


def test_a_divisor_that_counts_channels_keeps_its_value() -> None:
    text = """(float[N,3,2,2] x) => (float[N,1,2,2] y) {
        a = Conv(x, w1)
        b = Conv(a, w2)
        s = Shape(a)
        c = Gather(s, one)
        f = Cast<to=1>(c)
        y = Div(b, f)
    }"""
    arrays = {"w1": weights(12, 3, 1, 1), "w2": weights(1, 12, 1, 1), "one": np.array(1, np.int64)}
    round_trip(opened(text, arrays))


SPLIT = """(float[N,3,2,2] x) => (float[N,4,2,2] y) {
    a = Conv(x, w1)
    l, r = %s
    p = Conv(l, wl)
    q = Conv(r, wr)
    y = Add(p, q)
}"""
SPLIT_ARRAYS = {"w1": weights(12, 3, 1, 1), "wl": weights(4, 6, 1, 1), "wr": weights(4, 6, 1, 1, seed=1)}


@pytest.mark.parametrize(
    ("opset", "call", "more"),
    [
        (11, "Split<axis=1, split=[6,6]>(a)", {}),
        (11, "Split<axis=1>(a)", {}),
        (13, "Split<axis=1>(a, parts)", {"parts": ints(6, 6)}),
        (13, "Split<axis=1>(a)", {}),
        (18, "Split<axis=1, num_outputs=2>(a)", {}),
    ],
)
def test_split_sizes_follow_wherever_the_operator_set_keeps_them(
    opset: int, call: str, more: dict[str, Array]
) -> None:
    model = opened(SPLIT % call, {**SPLIT_ARRAYS, **more}, opset=opset)
    graph = capture(model)
    groups = {"wl": np.array([0, 1, 2]), "wr": np.array([0])}
    names = {name: _group_of(graph, name) for name in groups}
    small = shrunk(graph, {names[name]: index for name, index in groups.items()})
    pruned = replay(model, graph, small)
    assert [small.values[name].shape[1] for name in ("l", "r")] == [3, 5]
    found = capture(pruned)
    assert [found.values[name].shape[1] for name in ("l", "r")] == [3, 5]
    agrees(pruned, found)
    onnx.checker.check_model(to_proto(pruned), full_check=True)
    round_trip(model)


def _group_of(graph: Any, param: str) -> str:
    from prunepass.passes import couple

    return next(
        g.name for g in couple(graph).groups if any(m.tensor == param for m in g.members) and g.prunable
    )


def test_an_equal_split_that_stays_equal_is_left_alone() -> None:
    model = opened(SPLIT % "Split<axis=1, num_outputs=2>(a)", SPLIT_ARRAYS, opset=18)
    graph = capture(model)
    small = shrunk(graph, {_group_of(graph, name): np.array([1, 4]) for name in ("wl", "wr")})
    pruned = replay(model, graph, small)
    assert len(node_of(pruned, "Split").inputs) == 1
    assert node_of(pruned, "Split").attributes["num_outputs"].as_int() == 2


def test_expand_follows() -> None:
    text = """(float[N,3] x) => (float[N,4] y) {
        h = Gemm(x, w1)
        g = Expand(row, target)
        s = Mul(h, g)
        y = Gemm(s, w2)
    }"""
    arrays = {"w1": weights(3, 12), "w2": weights(12, 4), "row": weights(1, 1), "target": ints(1, 12)}
    _, small, pruned = round_trip(opened(text, arrays))
    assert initializer(pruned, "target").tolist() == [1, small.params["w1"].shape[1]]


def test_a_weight_that_is_filled_by_its_shape_follows() -> None:
    text = """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
        w1 = ConstantOfShape<value = float[1] {0.5}>(s1)
        w2 = ConstantOfShape<value = float[1] {0.25}>(s2)
        a = Conv(x, w1)
        y = Conv(a, w2)
    }"""
    graph, small, pruned = round_trip(opened(text, {"s1": ints(12, 3, 1, 1), "s2": ints(4, 12, 1, 1)}))
    assert {"w1", "w2"} <= set(graph.values), "weights that are computed stay nodes"
    left = small.values["w1"].shape[0]
    assert initializer(pruned, "s1").tolist() == [left, 3, 1, 1]
    assert initializer(pruned, "s2").tolist() == [4, left, 1, 1]


def test_a_weight_behind_a_transpose_is_cut_below_it() -> None:
    text = """(float[N,3] x) => (float[N,4] y) {
        t = Transpose<perm=[1,0]>(w1)
        h = MatMul(x, t)
        y = Gemm<transB=1>(h, w2)
    }"""
    _, small, pruned = round_trip(opened(text, {"w1": weights(12, 3), "w2": weights(4, 12)}))
    assert initializer(pruned, "w1").shape == small.params["w1"].shape != (12, 3)


def test_symbolic_dims_that_the_model_freezes_itself_do_not_stop_a_cut() -> None:
    text = """(float[1,S,3] x) => (float[1,Z,3] y) {
        h = MatMul(x, w1)
        s = Shape(x)
        n = Gather(s, one)
        c = Mul(n, width)
        c2 = Add(c, zero)
        c1 = Unsqueeze(c2, axes)
        t = Concat<axis=0>(lead, c1)
        f = Reshape(h, t)
        e = Reshape(f, back)
        y = MatMul(e, w2)
    }"""
    arrays = {
        "w1": weights(3, 12),
        "w2": weights(12, 3),
        "one": np.array(1, np.int64),
        "width": np.array(12, np.int64),
        "zero": np.array(0, np.int64),
        "axes": ints(0),
        "lead": ints(1),
        "back": ints(1, 32, 12),
    }
    model = opened(text, arrays)
    graph = capture(model)
    replay(model, graph, shrunk(graph))
    other = opened(text, {**arrays, "back": ints(1, -1, 12)})
    assert capture(other, [(1, 7, 3)]).values["e"].shape == (1, 7, 12)
    round_trip(other)


def test_a_correction_that_would_be_wrong_at_other_symbolic_sizes_is_refused() -> None:
    text = """(float[1,S] x, float[1,4] z) => (float[1,1] y) {
        h = MatMul(z, w)
        c = Concat<axis=1>(x, h)
        s = Shape(x)
        n = Gather(s, one)
        m = Add(n, width)
        m1 = Unsqueeze(m, axes)
        t = Concat<axis=0>(lead, m1)
        f = Reshape(c, t)
        y = ReduceSum(f, one1)
    }"""
    arrays = {
        "w": weights(4, 12),
        "one": np.array(1, np.int64),
        "width": np.array(12, np.int64),
        "axes": ints(0),
        "lead": ints(1),
        "one1": ints(1),
    }
    model = opened(text, arrays)
    graph = capture(model)
    with pytest.raises(UnsupportedError, match="other symbolic sizes"):
        replay(model, graph, shrunk(graph))


def test_scaling_check_tells_a_frozen_dim() -> None:
    from prunepass.hosts.onnx._compare import check_scaling

    model = opened(COMPUTED, COMPUTED_ARRAYS)
    one, two = capture(model, [(1, 3, 2, 2)]), capture(model, [(2, 3, 2, 2)])
    check_scaling((one, two), (one, two))
    with pytest.raises(UnsupportedError, match="other symbolic sizes"):
        check_scaling((one, two), (one, one))
