"""Weights that a model computes on the way to their readers, as exporters leave them, cut to one channel."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from prunepass.hosts.onnx import capture, feeds, replay, run, to_proto
from prunepass.hosts.onnx._executor import OnnxExecutor
from prunepass.ir import evaluate
from prunepass.passes import couple
from tests.hosts.onnx.models import close, opened, shrunk, weights

NET = """(float[{batch},3,4,4] x) => (float[{batch},5,4,4] y{more}) {{
    {first}
    a = Conv(x, {w1}, {b1})
    r = Relu(a)
    {second}
    c = Conv({r}, {w2}, {b2})
    s = Relu(c)
    y = Conv(s, w3)
    {last}
}}"""
PLAIN = {"w1": "w1", "b1": "b1", "w2": "w2", "b2": "b2", "r": "r"}
FORMS: dict[str, dict[str, str]] = {
    "bias": {"first": "i = Identity(b1)", "b1": "i"},
    "weight": {"first": "i = Identity(w1)", "w1": "i"},
    "chain": {"first": "i = Identity(b1)\n j = Identity(i)", "b1": "j"},
    "between": {"second": "i = Identity(r)", "r": "i"},
    "shared": {"first": "i = Identity(b1)", "b1": "i", "b2": "b1"},
    "shared behind": {"first": "i = Identity(b1)", "b1": "i", "b2": "i"},
    "shared twice": {"first": "i = Identity(b1)\n j = Identity(b1)", "b1": "i", "b2": "j"},
    "also an output": {"last": "z = Identity(s)", "more": ", float[{batch},6,4,4] z"},
    "weight as an output": {"first": "z = Identity(w1)", "w1": "z", "more": ", float[6,3,1,1] z"},
    "negative": {"first": "i = Neg(b1)", "b1": "i"},
    "scaled": {"first": "i = Mul(b1, g1)", "b1": "i"},
    "turned": {"first": "i = Transpose<perm=[1,0,2,3]>(t1)", "w1": "i"},
    "taken apart": {"first": "i, j = Split<axis=0>(both, halves)", "b1": "i", "b2": "j"},
}
ARRAYS = {
    "w1": weights(6, 3, 1, 1), "b1": weights(6, seed=1), "w2": weights(6, 6, 1, 1, seed=2),
    "b2": weights(6, seed=3), "w3": weights(5, 6, 1, 1, seed=4), "g1": weights(6, seed=5),
    "t1": weights(3, 6, 1, 1, seed=6), "both": weights(12, seed=7), "halves": np.array([6, 6]),
}  # fmt: skip


@pytest.mark.parametrize("batch", ["2", "N"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_nodes_over_weights_stay_when_one_channel_is_left(form: dict[str, str], batch: str) -> None:
    parts = {"first": "", "second": "", "last": "", "more": "", **PLAIN, **form}
    parts["more"] = parts["more"].format(batch=batch)
    text = NET.format(batch=batch, **parts)
    used = {name: array for name, array in ARRAYS.items() if f" {name}" in text.replace("(", " ")}
    model = opened(text, used)
    graph = capture(model)
    remove = {group.name: np.arange(1, group.size) for group in couple(graph).groups if group.prunable}
    assert remove
    small = shrunk(graph, remove)
    pruned = replay(model, graph, small)
    onnx.checker.check_model(to_proto(pruned), full_check=True)
    assert [node.name for node in pruned.graph] == [node.name for node in model.graph]
    given = feeds(graph)
    want = evaluate(small, given)
    made = run(pruned, given)
    seen = dict(OnnxExecutor(pruned, small).walk(given, wanted=small.outputs))
    for name in small.outputs:
        close(made[name], want[name])
        close(seen[name], want[name])
