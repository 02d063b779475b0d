"""Calibration inputs: the user's data, or the family of inputs that a model's normalisations recognise."""

from __future__ import annotations

import numpy as np

from prunepass.passes import State, calibration_of
from tests.graphs import Builder, chain


def test_a_graph_without_normalisations_takes_the_usual_family_and_is_not_sure() -> None:
    net = Builder()
    graph = net.graph(net.conv(net.add("relu", net.conv(net.input(2, 3, 4, 4), 8, 3)), 4))
    found = calibration_of(State.start(graph), 6, 3)
    assert (found.source, found.sure, found.norms) == ("leaves", "not", 0)
    assert len(found.fit) == 3 and len(found.held) == 2  # captured with two samples


def test_inputs_to_fit_on_and_to_judge_on_are_other_ones_and_the_same_every_time() -> None:
    one, two = (calibration_of(State.start(chain()), 6, 3) for _ in range(2))
    assert one is not two
    for left, right in zip((*one.fit, *one.held), (*two.fit, *two.held), strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)
    drawn = {sample.tobytes() for feed in (*one.fit, *one.held) for sample in feed["x0"]}
    assert len(drawn) == 6 + 4
