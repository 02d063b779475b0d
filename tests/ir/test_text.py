"""The text form: the same on every run and machine, and short enough to read in a diff."""

from __future__ import annotations

import numpy as np

from prunepass.ir import excerpt, node_text, to_text
from tests.graphs import Builder, residual

TEXT = """\
graph net(%x0: f32[2,6], %words: i64[2]) {
  param fc.weight: f32[3,6]
  param c1: i64[]
  param c2: uint8[2]
  %fc: f32[2,3] = linear(%x0, fc.weight, none)
  %parts: f32[2,1], %parts.1: f32[2,2] = split(%fc) {axis=1, sizes=[1, 2]}
  %clip_2: f32[2,2] = clip(%parts.1, none, c1)
  %gelu_3: f32[2,2] = gelu(%clip_2) {form='tanh'}
  return %parts, %gelu_3
}
"""


def example() -> Builder:
    net = Builder("net")
    x = net.input(2, 6)
    net.input(2, dtype="int64", name="words")
    parts = net.add_all("split", net.linear(x, 3, path="fc", bias=False), sizes=(1, 2), axis=1, node="parts")
    x = net.add("clip", parts[1], None, net.constant(np.int64(3)))
    net.constant(np.array([1, 2], dtype=np.uint8))
    net.add("gelu", x, form="tanh")
    return net


def test_the_whole_graph() -> None:
    assert to_text(example().graph("parts", "gelu_3")) == TEXT


def test_a_node() -> None:
    graph = residual()
    assert node_text(graph, graph.nodes[4]) == "%add_4: f32[2,8,4,4] = add(%stem, %one.b)"


def test_attributes_are_sorted_and_plain() -> None:
    net = Builder()
    x = net.add("clip", net.input(2, 3), node="n", low=0.5, high=[1, (2, np.array([3, 4]))])
    graph = net.graph(x)
    assert node_text(graph, graph.nodes[0]) == "%n: f32[2,3] = clip(%x0) {high=[1, [2, [3, 4]]], low=0.5}"


def test_an_excerpt_marks_the_node_and_stops_at_the_ends() -> None:
    graph = residual()
    lines = excerpt(graph, graph.nodes[1], "here", around=2).splitlines()
    assert [line[:2] for line in lines] == ["  ", "> ", "  ", "  ", "  "]
    assert lines[2] == "  ^ here"
