"""What kind of work a node does follows from its rule."""

from __future__ import annotations

from prunepass.passes import couple
from prunepass.passes.cost._kinds import kind_of
from tests.graphs import Builder


def test_kinds_follow_from_what_rules_sum_over() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 8, 8), 16, 3, path="window", padding=1)
    x = net.conv(x, 16, 3, path="channelwise", padding=1, groups=16)
    x = net.conv(x, 8, path="dense")
    x = net.add("relu", x, node="moved")
    rows = net.add("flatten", x, start=2, end=3, node="rows")
    columns = net.add("permute", rows, node="columns", order=(0, 2, 1))
    graph = net.graph(net.add("matmul", rows, columns, node="product"))
    coupling = couple(graph)
    found = {node.name: kind_of(coupling, node) for node in graph.nodes}
    for kind in ("window", "channelwise", "dense", "moved", "product"):
        assert found[kind] == kind
