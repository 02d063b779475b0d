"""Multiply-accumulates by layer: together those of the graph, before and after a cut."""

from __future__ import annotations

import json

import numpy as np

import prunepass as pp
from prunepass.passes import couple, cut, graph_cost, macs_by_layer, plan_for
from tests.cli.nets import classifier
from tests.graphs import chain, residual
from tests.passes.legal import random_cut
from tests.passes.networks import random_networks


def test_layers_are_named_in_order_with_their_work() -> None:
    assert macs_by_layer(chain(8)) == {"a": 2 * 16 * 3 * 9 * 8, "b": 2 * 16 * 8 * 2}
    small = cut(chain(8), plan_for(couple(chain(8)), {"a": np.array([0, 1])}))
    assert macs_by_layer(small) == {"a": 2 * 16 * 3 * 9 * 6, "b": 2 * 16 * 6 * 2}
    assert list(macs_by_layer(residual())) == ["stem", "one.a", "one.b", "two.a", "two.b", "head"]


def test_in_any_network_they_add_up_to_the_whole() -> None:
    for seed, network in enumerate(random_networks(0, 80)):
        graph = network.graph
        for one in (graph, cut(graph, random_cut(couple(graph), seed))):
            assert sum(macs_by_layer(one).values()) == graph_cost(one).macs


def test_the_report_has_them_in_every_form() -> None:
    report = pp.prune(classifier(), budget="macs=0.5", score="l2").report
    assert [row.name for row in report.layers] == ["conv0", "conv1", "head"]
    assert sum(row.before for row in report.layers) == report.before.macs
    assert sum(row.after for row in report.layers) == report.after.macs
    found = json.loads(report.to_json())["layers"]
    assert found == [{"name": row.name, "before": row.before, "after": row.after} for row in report.layers]
    for row in report.layers:
        assert f"| {row.name} | {row.before:,} | {row.after:,} | " in report.to_markdown()
