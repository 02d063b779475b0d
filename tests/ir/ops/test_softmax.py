"""Softmax and its kin in every spelling."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import BudgetError, evaluate
from prunepass.passes import Policy, couple, cut, plan_for, prove, random_inputs
from tests.graphs import Builder
from tests.law import free_atoms, solved
from tests.probe import assert_bound, data, probe_aten, probe_onnx

X = data(2, 3, 4, low=-3.0, high=3.0)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_torch_softmax(axis: int) -> None:
    for target, tail in (("softmax.int", ()), ("_softmax.default", (False,)), ("_safe_softmax.default", ())):
        probe = probe_aten(target, X, axis, *tail)
        assert [dim.size for dim in probe.rule.statistics] == [X.shape[axis]]
        assert probe.rule.centred == probe.rule.statistics
        assert not probe.rule.pins
        assert len(free_atoms(probe.rule, solved(probe.rule))) == 3
    assert_bound(probe_aten("log_softmax.int", X, axis))
    probe_aten("_log_softmax.default", X, axis, False)


def test_softmax_of_a_scalar() -> None:
    probe_aten("softmax.int", np.array(2.0), 0)
    probe_aten("log_softmax.int", np.array(2.0), -1)


def test_what_is_masked_has_no_weight() -> None:
    masked = np.where(X > 0, X, -np.inf)
    masked[0, 0] = -np.inf
    probe_aten("_safe_softmax.default", masked, -1)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_onnx_softmax(kind: str, axis: int | None) -> None:
    attrs = {} if axis is None else {"axis": axis}
    for opset in (11, 13):
        probe = probe_onnx(kind, opset, [X], attrs)
        shared = len(probe.rule.statistics)
        start = (1 if axis is None else axis % 3) if opset < 13 else 2
        assert shared == (3 - start if opset < 13 else 1)
    if axis != -1:
        probe_onnx(kind, 7, [X], attrs)


def test_the_magnitudes_of_weights_add_up_to_one() -> None:
    probe = probe_onnx("Softmax", 11, [X], {"axis": 1})
    np.testing.assert_allclose(probe.magnitude()[0].sum(axis=(1, 2)), 1.0)


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "hardmax"])
def test_over_channels_it_is_that_of_the_channels_that_stay(op: str) -> None:
    net = Builder(seed=2)
    x = net.linear(net.input(3, 5), 8, path="a")
    graph = net.graph(net.linear(net.add(op, x, axes=(1,)), 4, path="b"))
    coupling = couple(graph)
    assert [(group.name, len(group.inexact)) for group in coupling.prunable] == [("a", 1)]
    plan = plan_for(coupling, {"a": np.array([1, 4, 6])})
    small = cut(graph, plan)
    prove(graph, small, plan)
    feeds = random_inputs(graph)
    read = {name: param.read().astype(np.float64) for name, param in graph.params.items()}
    logits = (feeds["x0"] @ read["a.weight"].T + read["a.bias"])[:, [0, 2, 3, 5, 7]]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = {
        "softmax": shares,
        "log_softmax": np.log(shares),
        "hardmax": (logits == logits.max(axis=1, keepdims=True)).astype(float),
    }[op]
    want = made @ read["b.weight"][:, [0, 2, 3, 5, 7]].T + read["b.bias"]
    np.testing.assert_allclose(evaluate(small, feeds)[small.outputs[0]], want, rtol=1e-9)


def test_two_entries_of_a_softmax_stay() -> None:
    """Of a single one nothing is left but the number 1."""
    net = Builder(seed=2)
    x = net.linear(net.input(3, 5), 8, path="a")
    graph = net.graph(net.linear(net.add("softmax", x, axes=(1,)), 4, path="b"))
    coupling = couple(graph)
    policy = Policy(budget="channels=0.25")
    plan = policy.plan(coupling, {"a": np.arange(8.0)})
    assert len(plan.cuts["a"].remove) == 6
    with pytest.raises(BudgetError):
        Policy(budget="channels=0.125").plan(coupling, {"a": np.arange(8.0)})


@pytest.mark.parametrize("way", ["joined", "looked up"])
def test_learned_positions_stay(way: str) -> None:
    """Tokens that are joined to those of the input, or looked up in a table, are no channels."""
    net = Builder(seed=2)
    x = net.linear(net.input(2, 3, 5), 8, path="a")
    learned = net.weight(2, 4, 8, name="learned")
    if way == "joined":
        x = net.add("concat", x, learned, axis=1)
    else:
        x = net.add("add", net.add("sum", x, axes=(1,), keepdims=True), learned)
    scores = net.add("matmul", x, net.add("permute", x, order=(0, 2, 1)))
    mixed = net.add("matmul", net.add("softmax", scores, axes=(2,)), x)
    pooled = net.add("mean", mixed, axes=(1,), keepdims=False)
    coupling = couple(net.graph(net.linear(pooled, 4, path="b")))
    assert [group.name for group in coupling.prunable] == ["a"]
    assert any("mixes positions" in str(group.pins[:1]) for group in coupling.groups)
