"""``keep`` patterns: what the user wants untouched is pinned, with the pattern as the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import UsageError
from prunepass.passes import couple, cut, keep_matching, plan_for
from tests.graphs import Builder, residual


def prunable(*patterns: str) -> set[str]:
    return {group.name for group in couple(keep_matching(residual(), patterns)).prunable}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("one.a", {"two.a"}),  # the input channels of one.a are those of the stem
        ("one", {"two.a"}),
        ("*.b", set()),
        ("stem", {"one.a", "two.a"}),
        ("stem.bias", {"one.a", "two.a"}),
        ("head", {"one.a", "two.a"}),
        ("two.a.bias", {"stem", "one.a"}),
        ("t?o.a.b*", {"stem", "one.a"}),
    ],
)
def test_every_axis_of_a_matching_layer_is_pinned(pattern: str, left: set[str]) -> None:
    assert prunable(pattern) == left


def test_the_reason_names_the_pattern() -> None:
    group = couple(keep_matching(residual(), ["two.a.bias"])).group("two.a")
    assert [str(pin) for pin in group.pins] == ["kept by 'two.a.bias'"]


def test_what_is_kept_is_the_same_in_the_cut_graph() -> None:
    graph = keep_matching(residual(), ["two.*"])
    coupling = couple(graph)
    small = cut(graph, plan_for(coupling, {group.name: np.array([0]) for group in coupling.prunable}))
    assert small.params["one.a.weight"].shape[0] == 15
    for name, param in graph.params.items():
        if name.startswith("two."):
            assert small.params[name] is param


def test_nodes_are_matched_by_their_own_name_or_their_modules() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="first")
    x = net.add("conv", x, net.weight(8, 8, 1, 1, name="w"), node="/second/Conv", path="second")
    graph = net.graph(net.conv(net.add("relu", x), 2, path="last"))
    assert len(couple(graph).prunable) == 2
    for pattern in ("second", "/second/*", "w"):
        assert not couple(keep_matching(graph, [pattern])).prunable


def test_no_pattern_leaves_the_graph_alone() -> None:
    graph = residual()
    assert keep_matching(graph, []) is graph


@pytest.mark.parametrize("pattern", ["three", "on", "relu_2", ""])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=f"nothing in the model is called '{pattern}'"):
        keep_matching(residual(), ["stem", pattern])


def test_what_no_run_reads_can_be_kept_all_the_same() -> None:
    graph = residual()
    unread = replace(graph.params["stem.bias"], name="aux.bias")
    graph = replace(graph, unread=(unread,))
    assert keep_matching(graph, ["aux"]) is graph
