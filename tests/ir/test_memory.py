"""What a graph needs is known before it is computed; nothing is computed that does not fit."""

from __future__ import annotations

from math import prod

import pytest

import prunepass as pp
from prunepass.hosts.onnx import capture
from prunepass.ir import UnsupportedError, UsageError, check_memory
from prunepass.ir._memory import VARIABLE, peak
from tests.hosts.onnx.models import build, opened, weights

CHAIN = "(float[1,4,S,S] x) => (float[1,4,S,S] y) { a = Relu(x)\n b = Neg(a)\n c = Abs(b)\n y = Exp(c) }"
FORK = """(float[1,4,S,S] x) => (float[1,4,S,S] y) {
    a = Relu(x)
    b = Neg(x)
    c = Abs(x)
    d = Add(a, b)
    y = Add(d, c)
}"""


def test_values_count_from_where_they_are_made_to_their_last_reader() -> None:
    one = 8 * prod((1, 4, 32, 32))
    for text, alive in ((CHAIN, 2), (FORK, 4)):
        graph = capture(opened(text), {"x": (1, 4, 32, 32)})
        assert peak(graph)[0] == alive * one + one // 2


def test_what_does_not_fit_is_refused_and_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = capture(opened(CHAIN), {"x": (1, 4, 8192, 8192)})
    with pytest.raises(
        UnsupportedError, match=r"'.' of shape \(1, 4, 8192, 8192\) the largest; 2 GB are allowed"
    ) as caught:
        check_memory(graph)
    assert "--shape" in caught.value.advice and VARIABLE in caught.value.advice
    monkeypatch.setenv(VARIABLE, "12.5")
    check_memory(graph)
    for text in ("much", "-1", "0", "nan"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(UsageError, match="is a number of gigabytes"):
            check_memory(graph)


def test_prune_and_verify_refuse_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "(float[1,3,S,S] x) => (float[1,4,S,S] y) { a = Conv(x, w)\n b = Relu(a)\n y = Conv(b, v) }"
    proto = build(text, {"w": weights(8, 3, 1, 1), "v": weights(4, 8, 1, 1)})
    small = pp.prune(proto, {"x": (1, 3, 8, 8)}, budget="macs=0.6", score="l2")
    monkeypatch.setattr(
        "prunepass.passes.proof._proof.random_inputs", lambda graph: pytest.fail("inputs were made")
    )
    large = {"x": (1, 3, 60_000, 60_000)}
    with pytest.raises(UnsupportedError, match="the proof needs"):
        pp.prune(proto, large, budget="macs=0.6", score="l2")
    with pytest.raises(UnsupportedError, match="the proof needs"):
        pp.verify(proto, small.model, small.plan, large)
    assert pp.analyze(pp.capture(proto, large)).cost.macs
