"""Networks of any size, written directly in the neutral graph: what scales is the library, not a capture."""

from __future__ import annotations

from prunepass.ir import Graph
from tests.graphs import Builder

_IMAGE = 4
_DENSE_LAYERS = 12


def residual(nodes: int, width: int = 16) -> Graph:
    """One residual stream through as many blocks as give about ``nodes`` nodes; every block has its own channels."""
    net = Builder("residual")
    x = _unit(net, net.input(1, 3, _IMAGE, _IMAGE), width, "stem", 3)
    block = 0
    while len(net.nodes) < nodes - 3:
        y = _unit(net, x, width, f"block{block}.a", 3)
        y = _unit(net, y, width, f"block{block}.b", 3)
        x = net.add("add", x, y)
        block += 1
    return _head(net, x)


def dense(nodes: int, growth: int = 8) -> Graph:
    """Blocks whose layers each read all earlier ones of the block, with transitions between, as DenseNet has them."""
    net = Builder("dense")
    x = _unit(net, net.input(1, 3, _IMAGE, _IMAGE), 2 * growth, "stem", 3)
    layer = 0
    while len(net.nodes) < nodes - 3:
        x = net.add("concat", x, _unit(net, x, growth, f"layer{layer}", 3), axis=1)
        layer += 1
        if layer % _DENSE_LAYERS == 0:
            x = _unit(net, x, 2 * growth, f"transition{layer}", 1)
    return _head(net, x)


def _unit(net: Builder, x: str, width: int, path: str, kernel: int) -> str:
    x = net.conv(x, width, kernel, path=path, bias=False, padding=kernel // 2)
    return net.add("relu", net.batch_norm(x, path=f"{path}.bn"))


def _head(net: Builder, x: str) -> Graph:
    return net.graph(net.linear(net.add("flatten", x, start=1, end=3), 10, path="head"))
