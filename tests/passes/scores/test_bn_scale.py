from __future__ import annotations

import numpy as np

from prunepass.passes import couple, scores
from tests.graphs import Builder, chain, residual


def test_the_slopes_of_all_normalisations_of_a_group_add() -> None:
    net = Builder()
    x = net.input(1, 2, 3, 3)
    both = net.add("add", *(net.batch_norm(net.conv(x, 4, path=name), path=f"bn_{name}") for name in "ab"))
    graph = net.graph(net.conv(both, 2))
    slopes = [graph.params[f"bn_{name}.weight"].read().astype(float) for name in "ab"]
    (found,) = scores.BnScale()(couple(graph)).values()
    np.testing.assert_allclose(found, np.abs(slopes[0]) + np.abs(slopes[1]))


def test_groups_without_a_normalisation_are_named_and_scored_by_relative_norms() -> None:
    coupling = couple(residual())
    found, norms = scores.BnScale()(coupling), scores.L2()(coupling)
    assert set(scores.explain(scores.BnScale(), coupling)) == set(found)
    for name, values in found.items():
        assert np.isclose(values.mean(), 1)
        np.testing.assert_allclose(values, norms[name] / norms[name].mean())


def test_a_group_with_a_normalisation_needs_no_explanation() -> None:
    assert scores.explain(scores.BnScale(), couple(chain())) == {}
