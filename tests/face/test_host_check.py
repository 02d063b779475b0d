"""The pruned model in its host: off by rounding, by a step of a code, or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from prunepass.drivers._host_check import host_check
from prunepass.ir import Array, Graph, Value, VerificationError, evaluate
from tests.graphs import Builder


def coded(*, codes: bool = True) -> Graph:
    """64 numbers, one of them in the middle between two codes, and a layer that reads what codes say."""
    net = Builder(seed=3)
    x = net.add("multiply", net.input(1, 64), net.constant(np.float32(0.5)))
    if codes:
        step, zero = net.constant(np.float32(1.0)), net.constant(np.int8(0))
        x = net.add("quantize", x, step, zero, axis=0)
        net.values[x] = Value(x, net.shape(x), "int8")
        x = net.add("dequantize", x, step, zero, axis=0)
    return net.graph(net.linear(x, 32, path="out"))


class Host:
    """Gives given outputs for given inputs."""

    def __init__(self, graph: Graph, fed: Array, out: Array) -> None:
        self.graph, self.fed, self.out = graph, {graph.inputs[0]: fed}, out

    def feeds(self) -> Mapping[str, Array]:
        return self.fed

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        return [self.out]


def fed() -> Array:
    x = np.random.default_rng(0).uniform(-6, 6, (1, 64)).round()
    x[0, 1:] = np.where(x[0, 1:] % 2 == 0, x[0, 1:], x[0, 1:] + 0.8)
    x[0, 0] = 3.0
    return np.asarray(x)


def outputs(graph: Graph, x: Array) -> Array:
    return evaluate(graph, {graph.inputs[0]: x})[graph.outputs[0]]


def test_a_number_between_two_codes_may_become_either() -> None:
    graph = coded()
    other = fed()
    other[0, 0] = np.nextafter(np.float32(3.0), np.float32(0.0))
    assert not np.allclose(outputs(graph, other), outputs(graph, fed()), atol=0.01)
    found = host_check(Host(graph, fed(), outputs(graph, other)), None, graph)  # type: ignore[arg-type]
    assert 1e-3 < found.worst <= found.tolerance < 1.0


def test_what_rounding_cannot_explain_is_refused() -> None:
    graph = coded()
    wrong = np.roll(outputs(graph, fed()), 1)
    with pytest.raises(VerificationError):
        host_check(Host(graph, fed(), wrong), None, graph)  # type: ignore[arg-type]


def test_without_codes_nothing_but_rounding_is_allowed() -> None:
    graph = coded(codes=False)
    other = fed()
    other[0, 0] += 0.01
    with pytest.raises(VerificationError):
        host_check(Host(graph, fed(), outputs(graph, other)), None, graph)  # type: ignore[arg-type]


def half() -> Graph:
    """A layer that computes in half precision; what comes out has been made wider."""
    net = Builder(seed=3)
    y = net.linear(net.input(1, 64), 32, path="out")
    net.values[y] = Value(y, net.shape(y), "bfloat16")
    wide = net.add("relu", y)
    net.values[wide] = Value(wide, net.shape(wide), "float32")
    return net.graph(wide)


def test_what_half_precision_rounds_is_rounding_in_a_wider_output_too() -> None:
    graph = half()
    exact = outputs(graph, fed())
    host_check(Host(graph, fed(), exact * (1 + 2.0**-8)), None, graph)  # type: ignore[arg-type]
    with pytest.raises(VerificationError):
        host_check(Host(graph, fed(), np.roll(exact, 1)), None, graph)  # type: ignore[arg-type]


def test_half_precision_beside_the_way_to_an_output_does_not_widen_it() -> None:
    net = Builder(seed=3)
    x = net.input(1, 64)
    aside = net.linear(x, 32, path="aside")
    net.values[aside] = Value(aside, net.shape(aside), "bfloat16")
    graph = net.graph(net.linear(x, 32, path="out"))
    with pytest.raises(VerificationError):
        host_check(Host(graph, fed(), outputs(graph, fed()) * (1 + 2.0**-8)), None, graph)  # type: ignore[arg-type]
