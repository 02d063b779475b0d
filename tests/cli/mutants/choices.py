"""What mutations choose from: odd numbers and words, and the parts of a model."""

from __future__ import annotations

from random import Random

from onnx import NodeProto, TensorProto

from tests.cli.mutants.nets import Net

INTS = (
    -(2**63),
    -(2**31),
    -7,
    -1,
    0,
    1,
    2,
    3,
    5,
    8,
    16,
    127,
    30_000,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    2**63 - 1,
)
FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-45, 3e38, 0.5, 2.0, 7.0)
TEXTS = ("", "?", "None", "a b", "\u00e4\u2603", "../x", "x" * 300, "\x00", "Conv", "-1")
RANKS = (0, 1, 2, 5, 128)


def node_of(net: Net, random: Random) -> NodeProto:
    return random.choice(net.proto.graph.node)


def weight_of(net: Net, random: Random) -> TensorProto:
    return random.choice(net.proto.graph.initializer)


def names_of(net: Net) -> list[str]:
    graph = net.proto.graph
    made = [name for node in graph.node for name in node.output]
    return [*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer), *made]
