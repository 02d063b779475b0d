"""The model of an engine's time: it learns what it can express, and is right where it was measured."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Atom
from prunepass.passes import Coupling, LatencyModel, Point, Samples, couple, layers_of
from prunepass.passes.cost._latency import nonnegative
from tests.graphs import Builder, residual
from tests.passes.legal import free_atoms

Widths = dict[Atom, int]


def drawn(coupling: Coupling, count: int) -> list[Widths]:
    rng = np.random.default_rng(1)
    leaves = sorted(free_atoms(coupling), key=lambda leaf: leaf.size)
    return [{leaf: int(rng.integers(1, leaf.size + 1)) for leaf in leaves} for _ in range(count)]


def test_a_time_of_its_own_form_is_learnt_from_a_few_networks() -> None:
    coupling = couple(residual(32))
    model = LatencyModel.unfitted(coupling, 8)
    rates = {"dense": 3.0, "window": 1.0, "moved": 0.1, "weights": 0.5, "start": 5000.0}

    def true(widths: Widths) -> float:
        return sum(rates[name] * value for name, value in model.features(widths).items())

    points = [Point(model.features(w), true(w) / true({})) for w in ({}, *drawn(coupling, 12))]
    fitted = model.fitted(points)
    for widths in drawn(coupling, 40)[12:]:
        assert fitted.time(widths) == pytest.approx(true(widths) / true({}), rel=0.02)


def test_before_anything_is_measured_the_original_takes_all_of_its_time() -> None:
    coupling = couple(residual(16))
    model = LatencyModel.unfitted(coupling, 8)
    assert model.time({}) == pytest.approx(1.0, rel=1e-6)
    narrow = dict.fromkeys(free_atoms(coupling), 1)
    assert 0 < model.time(narrow) < 1


def test_an_anchored_model_is_right_where_it_was_measured() -> None:
    coupling = couple(residual(32))
    here, there = drawn(coupling, 2)
    model = LatencyModel.unfitted(coupling).anchored(here, 0.8)
    assert model.time(here) == pytest.approx(0.8)
    plain = LatencyModel.unfitted(coupling)
    close = 0.8 * plain.time(there) / plain.time(here) * 1.05
    both = plain.anchored(here, 0.8, (there, close))
    assert both.time(here) == pytest.approx(0.8)
    assert both.time(there) == pytest.approx(close)


def test_the_part_of_a_group_moves_as_the_whole_does() -> None:
    coupling = couple(residual(32))
    (widths,) = drawn(coupling, 1)
    model = LatencyModel.unfitted(coupling, 8).anchored(widths, 0.7)
    for leaf in widths:
        parts = model.part(leaf, {**widths, leaf: np.arange(1, leaf.size + 1)})
        whole = [model.time({**widths, leaf: width}) for width in range(1, leaf.size + 1)]
        assert np.diff(parts) == pytest.approx(np.diff(whole), abs=1e-9)


def test_least_squares_that_may_not_be_negative_agree_with_plain_ones_where_those_are_not() -> None:
    rng = np.random.default_rng(0)
    left, wanted = rng.random((20, 4)), np.array([1.0, 0.0, 2.0, 0.5])
    assert nonnegative(left, left @ wanted, np.ones(4)) == pytest.approx(wanted, abs=1e-6)
    assert np.all(nonnegative(left, left @ np.array([1.0, -3.0, 2.0, 0.5]), np.ones(4)) >= 0)


def pair() -> Coupling:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 64, path="a")
    x = net.conv(x, 64, path="b")
    return couple(net.graph(net.conv(x, 5, path="c")))


def test_a_layer_of_a_table_takes_its_samples_times_and_a_power_law_between() -> None:
    coupling = pair()
    layer = next(layer for layer in layers_of(coupling) if layer.node.name == "b")
    shapes = tuple((a, b) for a in (16, 32, 64) for b in (16, 32, 64))
    table = {layer.key: Samples(shapes, tuple(0.01 * a**0.9 * b**0.8 for a, b in shapes))}
    model = LatencyModel.unfitted(coupling, 1, table)
    one, other = (leaf for size in layer.axes for _, leaves in size for leaf in leaves)
    for a, b in ((16, 64), (64, 64), (24, 48), (40, 20)):
        assert model.features({one: a, other: b})["table"] == pytest.approx(0.01 * a**0.9 * b**0.8, rel=0.02)


def test_layers_that_compute_the_same_share_a_key_and_others_do_not() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 16, path="a")
    for name in ("b", "c"):
        x = net.conv(net.add("relu", x), 16, path=name)
    x = net.conv(net.add("relu", x), 16, 3, path="d", padding=1)
    keys = {layer.node.name: layer.key for layer in layers_of(couple(net.graph(net.conv(x, 5, path="e"))))}
    assert keys["b"] == keys["c"]
    assert len(set(keys.values())) == 4
