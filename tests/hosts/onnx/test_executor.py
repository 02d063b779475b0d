"""ONNX Runtime gives the values of the reference, from any values to any others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import feeds as random_feeds
from prunepass.hosts.onnx import load, open_session
from prunepass.hosts.onnx._session import OnnxSession
from prunepass.ir import Array, UnsupportedError, UsageError
from prunepass.passes import couple, cut
from tests.hosts.executors import hold, other_params, random_masks, repeated
from tests.hosts.onnx.models import build, weights
from tests.passes.legal import random_cut

CONV = """(float[N,3,6,6] x) => (float[N,5] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    n = BatchNormalization(a, s, t, m, v)
    r = Relu(n)
    d = Conv<group=8, pads=[1,1,1,1]>(r, w2)
    e = Sigmoid(d)
    f = Mul(e, r)
    p = GlobalAveragePool(f)
    q = Flatten(p)
    y = Gemm<transB=1>(q, w3, b3)
}"""
JOINED = """(float[N,4,4,4] x) => (float[N,6,4,4] y) {
    a = Conv(x, w1)
    left, right = Split<axis=1>(a, parts)
    b = Conv<pads=[1,1,1,1]>(right, w2)
    h = HardSwish(b)
    c = Concat<axis=1>(left, right, h)
    y = Conv(c, w3)
}"""
# What a converter writes: sizes computed while the model runs, from those of its input.
ATTENTION = """(float[N,L,12] x) => (float[N,L,12] y) {
    size = Shape(x)
    batch = Gather(size, zero)
    length = Gather(size, one)
    lead = Unsqueeze(batch, first)
    many = Unsqueeze(length, first)
    apart = Concat<axis=0>(lead, many, heads)
    n = LayerNormalization(x, s, t)
    q = MatMul(n, wq)
    k = MatMul(n, wk)
    v = MatMul(n, wv)
    q1 = Reshape(q, apart)
    k1 = Reshape(k, apart)
    v1 = Reshape(v, apart)
    q2 = Transpose<perm=[0,2,1,3]>(q1)
    k2 = Transpose<perm=[0,2,3,1]>(k1)
    v2 = Transpose<perm=[0,2,1,3]>(v1)
    z = MatMul(q2, k2)
    w = Softmax<axis=-1>(z)
    o = MatMul(w, v2)
    o1 = Transpose<perm=[0,2,1,3]>(o)
    whole = Concat<axis=0>(lead, many, width)
    o2 = Reshape(o1, whole)
    o3 = MatMul(o2, wo)
    y = Add(o3, n)
}"""
RECURRENT = """(float[4,N,5] x) => (float[4,1,N,7] y) {
    u = MatMul(x, w1)
    t = Tanh(u)
    o = LSTM<hidden_size=7>(t, w, r, b)
    y = Relu(o)
}"""
WORDS = """(int64[N,6] x) => (float[N,6,11] y) {
    e = Gather(table, x)
    n = LayerNormalization(e, s, t)
    h = MatMul(n, w1)
    g = Tanh(h)
    y = MatMul(g, w2)
}"""
NUMBERS = {name: np.array(value, np.int64) for name, value in {"zero": 0, "one": 1, "first": [0]}.items()}
POSITIVE, ONES = np.abs(weights(8)) + 0.5, np.ones(12, np.float32)
MODELS: dict[str, tuple[str, dict[str, Array]]] = {
    "conv": (CONV, {"w1": weights(8, 3, 3, 3), "b1": weights(8), "s": POSITIVE, "t": weights(8), "m": weights(8),
                    "v": POSITIVE, "w2": weights(8, 1, 3, 3), "w3": weights(5, 8), "b3": weights(5)}),
    "joined": (JOINED, {"w1": weights(8, 4, 1, 1), "w2": weights(4, 4, 3, 3), "w3": weights(6, 12, 1, 1),
                        "parts": np.array([4, 4], np.int64)}),
    "attention": (ATTENTION, {**NUMBERS, "heads": np.array([3, 4]), "width": np.array([12]), "s": ONES[:12],
                              "t": weights(12), "wq": weights(12, 12), "wk": weights(12, 12, seed=1),
                              "wv": weights(12, 12, seed=2), "wo": weights(12, 12, seed=3)}),
    "recurrent": (RECURRENT, {"w1": weights(5, 5), "w": weights(1, 28, 5), "r": weights(1, 28, 7),
                              "b": weights(1, 56)}),
    "words": (WORDS, {"table": weights(11, 8), "s": ONES[:8], "t": weights(8), "w1": weights(8, 14),
                      "w2": weights(14, 11)}),
}  # fmt: skip


def proto_of(name: str, batch: int | str = "N") -> onnx.ModelProto:
    text, arrays = MODELS[name]
    return build(text.replace("N,", f"{batch},").replace("L,", "4," if batch != "N" else "L,"), arrays)


def opened(name: str, batch: int | str = "N") -> tuple[OnnxSession, dict[str, Array]]:
    """The model captured with two samples, its batch open or fixed."""
    session = open_session(proto_of(name, batch), _example(name))
    return session, random_feeds(session.graph)


def _example(name: str) -> Any:
    shapes = {"conv": (2, 3, 6, 6), "joined": (2, 4, 4, 4), "attention": (2, 4, 12), "recurrent": (4, 2, 5)}
    return {"x": shapes.get(name, (2, 6))}


@pytest.mark.parametrize("batch", ["N", 2])
@pytest.mark.parametrize("name", MODELS)
def test_every_value_is_that_of_the_reference(name: str, batch: int | str) -> None:
    session, feeds = opened(name, batch)
    executor = session.executor()
    graph = session.graph
    whole = hold(executor, feeds, "float32")
    assert not executor.reason  # type: ignore[attr-defined]
    masked = hold(executor, feeds, "float32", masks=random_masks(graph))
    changed = hold(executor, feeds, "float32", params=other_params(graph))
    assert not executor.reason  # type: ignore[attr-defined]
    for made in (masked, changed):
        assert any(np.any(made[name] != whole[name]) for name in graph.outputs)


@pytest.mark.parametrize("batch", ["N", 2])
@pytest.mark.parametrize("name", MODELS)
def test_from_any_frontier_come_the_same_values(name: str, batch: int | str) -> None:
    session, feeds = opened(name, batch)
    graph, executor = session.graph, session.executor()
    values = hold(executor, feeds, "float32")
    for middle in range(len(graph.nodes)):
        made = {*graph.inputs, *(name for node in graph.nodes[:middle] for name in node.outputs)}
        read = {name for node in graph.nodes[middle:] for name in node.inputs if name in made}
        given = {name: values[name] for name in read}
        later = [name for node in graph.nodes[middle:] for name in node.outputs if name]
        hold(executor, given, "float32", wanted=later)
        assert not executor.reason, (middle, executor.reason)  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("batch", ["N", 2])
@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_samples_is_run(name: str, batch: int | str, count: int) -> None:
    session, feeds = opened(name, batch)
    executor, many = session.executor(), repeated(feeds, count, axis=int(name == "recurrent"))
    values = hold(executor, many, "float32")
    assert not executor.reason  # type: ignore[attr-defined]
    if batch == "N":
        (output,) = session.graph.outputs
        np.testing.assert_allclose(values[output], session.run(session.source, many)[0], 1e-4, 1e-5)
    middle = session.graph.nodes[len(session.graph.nodes) // 2]
    later = [name for name in session.graph.values if name not in session.graph.inputs]
    given = {name: values[name] for name in session.graph.values if name not in middle.outputs}
    hold(executor, given, "float32", wanted=[name for name in middle.outputs if name in later])


@pytest.mark.parametrize("name", MODELS)
def test_a_cut_graph_is_run_by_the_model_that_is_cut_alike(name: str) -> None:
    session, feeds = opened(name)
    small = cut(session.graph, random_cut(couple(session.graph), 1))
    assert small is not session.graph
    executor = session.executor(small)
    hold(executor, feeds, "float32")
    assert not executor.reason  # type: ignore[attr-defined]


def test_a_run_in_several_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    session, feeds = opened("conv")
    monkeypatch.setattr("prunepass.hosts.onnx._executor._MOST", 2000)
    executor = session.executor()
    hold(executor, feeds, "float32")
    hold(executor, repeated(feeds, 5), "float32")
    assert len(vars(executor)["_sessions"]) > 3


def test_one_session_serves_all_runs_of_a_kind() -> None:
    session, feeds = opened("conv")
    executor = session.executor()
    for seed in range(3):
        hold(
            executor,
            feeds,
            "float32",
            masks=random_masks(session.graph),
            params=other_params(session.graph, seed),
        )
    assert len(vars(executor)["_sessions"]) == 1


def test_infinities_are_masked_to_nothing() -> None:
    session, feeds = opened("conv")
    feeds["x"][:, 0] = np.inf
    mask = {(session.graph.nodes[0].name, 0): np.array([0.0, 1.0, 1.0]).reshape(3, 1, 1)}
    ((_, made),) = session.executor().walk(feeds, wanted=session.graph.outputs, masks=mask)
    assert np.isfinite(made).all()


def test_the_users_model_stays_as_it_is() -> None:
    model = load(proto_of("conv"))
    before = ir.to_proto(model).SerializeToString()
    session = open_session(model)
    hold(session.executor(), random_feeds(session.graph), "float32", masks=random_masks(session.graph))
    assert ir.to_proto(model).SerializeToString() == before


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    proto = proto_of("conv")
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    session = open_session(str(tmp_path / "m.onnx"))
    hold(session.executor(), random_feeds(session.graph), "float32", masks=random_masks(session.graph))
    small = cut(session.graph, random_cut(couple(session.graph), 0))
    executor = session.executor(small)
    hold(executor, random_feeds(session.graph), "float32")
    assert not executor.reason  # type: ignore[attr-defined]


# Where the declarations run instead.


def reason(graph_of: OnnxSession, dtype: str = "float32") -> str:
    executor = graph_of.executor(dtype=dtype)
    hold(executor, random_feeds(graph_of.graph), dtype)
    return str(executor.reason)  # type: ignore[attr-defined]


def test_another_type_than_that_of_the_model_is_computed_by_the_declarations() -> None:
    session, _ = opened("conv", 2)
    assert "float64 is asked for" in reason(session, "float64")
    half = build("(float16[1,4] x) => (float16[1,4] y) { y = Relu(x) }")
    assert "is float16 in the model" in reason(open_session(half))


def test_draws_are_those_of_the_reference() -> None:
    text = "(float[2,4] x) => (float[2,4] y) { r = RandomNormalLike(x)\n y = Add(x, r) }"
    assert "draws at random" in reason(open_session(build(text)))


def test_without_the_runtime_the_declarations_run(monkeypatch: pytest.MonkeyPatch) -> None:
    session, _ = opened("conv", 2)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert reason(session) == "onnxruntime is not installed"


def test_what_the_runtime_refuses_is_told() -> None:
    session, _ = opened("conv", 2)
    executor = session.executor()
    vars(executor)["_model"].opset_imports[""] = 9999
    hold(executor, random_feeds(session.graph), "float32")
    assert executor.reason  # type: ignore[attr-defined]


def test_values_that_the_runtime_fails_on_are_told() -> None:
    session, _ = opened("words")
    executor = session.executor()
    with pytest.raises(UnsupportedError, match="the runtime fails on these values"):
        list(executor.walk({"x": np.full((2, 6), 99)}, wanted=["y"]))


def test_wrong_use_is_refused_as_everywhere() -> None:
    session, feeds = opened("conv")
    executor = session.executor()
    with pytest.raises(UsageError, match="input 'x' is missing"):
        executor.walk({}, wanted=["y"])
    with pytest.raises(UsageError, match="input 'x' has shape"):
        executor.walk({"x": np.zeros((2, 3, 5, 6))}, wanted=["y"])
    with pytest.raises(UnsupportedError, match="gradients are computed by torch alone"):
        executor.gradients(feeds, wanted=["y"], loss=lambda made: made[0])
