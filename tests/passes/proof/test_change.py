"""The change of outputs: channel by channel, whatever the scales that one output joins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, Param
from prunepass.passes import output_change, output_changes
from tests.graphs import Builder

LARGE = 300.0


def joined(net: Builder, x: str) -> tuple[str, ...]:
    """Two heads side by side."""
    large = net.add("multiply", net.conv(x, 4, path="large"), net.constant(np.float32(LARGE)))
    small = net.add("sigmoid", net.conv(x, 8, path="small"))
    return (net.add("concat", large, small, axis=1),)


def scaled(net: Builder, x: str) -> tuple[str, ...]:
    """One head whose channels are scaled apart."""
    scale = np.repeat(np.array([LARGE, 1.0], np.float32), [4, 1])[:, None, None]
    return (net.add("multiply", net.conv(x, 5, path="small"), net.constant(scale)),)


def flat(net: Builder, x: str) -> tuple[str, ...]:
    """The same as one row, as some detectors give it."""
    return (net.add("flatten", joined(net, x)[0], start=1, end=3),)


def last(net: Builder, x: str) -> tuple[str, ...]:
    return (net.add("permute", joined(net, x)[0], order=(0, 2, 3, 1)),)


def apart(net: Builder, x: str) -> tuple[str, ...]:
    large = net.add("multiply", net.conv(x, 4, path="large"), net.constant(np.float32(LARGE)))
    return large, net.add("sigmoid", net.conv(x, 8, path="small"))


def unknown(net: Builder, x: str) -> tuple[str, ...]:
    """Behind an operator without a declaration nothing is known of channels but their data."""
    name = joined(net, x)[0]
    return (net.add_foreign("sort", name, result=net.shape(name), evaluate=lambda array: (array,)),)


FORMS = {form.__name__: form for form in (joined, scaled, flat, last, apart, unknown)}


def network(form: Callable[[Builder, str], tuple[str, ...]]) -> Graph:
    net = Builder(seed=4)
    x = net.add("relu", net.conv(net.input(1, 3, 12, 12), 16, 3, path="body"))
    return net.graph(*form(net, x))


def with_data(graph: Graph, changed: Callable[[str, Array], Array]) -> Graph:
    def held(param: Param) -> Param:
        data = np.asarray(changed(param.name, param.read()), np.float32)
        return replace(param, source=lambda: data)

    return replace(graph, params={name: held(param) for name, param in graph.params.items()})


def without_small(name: str, data: Array) -> Array:
    """What the small quantities are made of is gone."""
    if not name.startswith("small"):
        return data
    gone = np.array(data)
    gone[-1 if len(data) == 5 else slice(None)] = 0
    return gone


@pytest.mark.parametrize("form", FORMS)
def test_what_is_lost_of_small_quantities_shows_beside_large_ones(form: str) -> None:
    graph = network(FORMS[form])
    assert output_change(graph, graph) == 0
    lost = output_changes(graph, with_data(graph, without_small))
    assert lost.worst is not None
    assert lost.worst.worst > 0.4
    assert float(lost) > (0.3 if form != "scaled" else 0.08)
    nearly = with_data(graph, lambda name, data: data * (1 + 1e-5))
    assert float(output_changes(graph, nearly)) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_the_change_does_not_depend_on_units(form: str) -> None:
    """Channels may be counted in millimetres or in metres."""
    graph = network(FORMS[form])
    other = with_data(graph, lambda name, data: data * 0.9 if name == "body.weight" else data)

    def measured(factor: float) -> float:
        pair = [
            with_data(one, lambda name, data: data * factor if name.startswith("large") else data)
            for one in (graph, other)
        ]
        return output_change(*pair)

    assert measured(1.0) == pytest.approx(measured(30.0), rel=1e-3)


def test_the_place_of_the_worst_is_told() -> None:
    graph = network(joined)

    def one_gone(name: str, data: Array) -> Array:
        return np.where(np.arange(8) == 3, 50.0, data) if name == "small.bias" else data

    change = output_changes(graph, with_data(graph, one_gone))
    assert change.worst is not None
    assert (change.worst.channel, change.worst.channels) == (4 + 3, 12)
    assert change.worst.median == 0 < change.worst.worst
    assert "median 0, worst 0.72 at" in str(change)
    assert f"output '{graph.outputs[0]}' channel 7" in str(change)


def test_a_channel_that_never_moves_does_not_hide_the_others_nor_explode() -> None:
    graph = with_data(network(apart), lambda n, d: np.zeros_like(d) if n == "small.weight" else d)
    assert output_change(graph, graph) == 0
    nudged = with_data(graph, lambda n, d: d + 1e-4 if n == "small.bias" else d)
    assert output_change(graph, nudged) < 1e-3


def test_what_is_infinite_in_both_is_equal_and_in_one_is_lost() -> None:
    net = Builder()
    x = net.linear(net.input(2, 8), 6, path="out")
    mask = net.given(np.where(np.arange(6) < 2, -np.inf, 0.0), name="mask")
    graph = net.graph(net.add("add", x, mask))
    assert output_change(graph, graph) == 0
    other = with_data(graph, lambda n, d: np.where(np.arange(6) < 3, -np.inf, 0.0) if n == "mask" else d)
    change = output_changes(graph, other)
    assert change.worst is not None
    assert (change.worst.worst, change.worst.channel) == (1.0, 2)


def test_whole_numbers_count_only_where_there_is_nothing_else() -> None:
    net = Builder()
    x = net.linear(net.input(4, 8), 6, path="out")
    best = net.add("greater", x, net.constant(np.float32(0.0)))
    net.values[best] = replace(net.values[best], dtype="bool")
    both, alone = net.graph(x, best), net.graph(best)
    assert [one.name for one in output_changes(both, both).outputs] == [x]
    turned = with_data(alone, lambda name, data: -data)
    assert output_change(alone, alone) == 0 < output_change(alone, turned) <= 0.5
