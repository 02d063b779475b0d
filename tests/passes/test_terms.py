"""Costs as sums of products agree with what the cost model counts, at any widths."""

from __future__ import annotations

import numpy as np

from prunepass.ir import Atom
from prunepass.passes import CostModel, couple
from prunepass.passes.cost._terms import Term, counted_terms, engine_terms, free_atoms
from tests.graphs import residual
from tests.passes.networks import random_networks


def test_terms_count_what_the_cost_model_counts() -> None:
    rng = np.random.default_rng(0)
    for network in random_networks(40_000, 40):
        coupling = couple(network.graph)
        model, terms = CostModel(coupling), counted_terms(coupling)
        widths = {leaf: int(rng.integers(1, leaf.size + 1)) for leaf in free_atoms(coupling)}
        model.set_widths(widths)
        for kind, total in model.totals.items():
            assert sum(float(t.value(widths)) for t in terms if t.feature == kind) == total, network.recipe


def test_a_width_may_be_an_array_of_candidates() -> None:
    coupling = couple(residual(16))
    for leaf in free_atoms(coupling):
        candidates = np.arange(1, leaf.size + 1)
        for term in engine_terms(coupling, 8):
            many = np.broadcast_to(term.value({leaf: candidates}), candidates.shape)
            assert many.tolist() == [float(term.value({leaf: int(width)})) for width in candidates]


def test_sizes_are_padded_to_the_grain() -> None:
    leaf = Atom(20)
    term = Term("dense", 2.0, (((1, (leaf,)),),), grain=8)
    assert [float(term.value({leaf: width})) for width in (8, 9, 16, 20)] == [16, 32, 32, 48]


def test_nodes_whose_time_is_known_otherwise_are_left_out() -> None:
    coupling = couple(residual(16))
    names = frozenset(node.name for node in coupling.graph.nodes)
    assert [term.feature for term in engine_terms(coupling, 1, names)] == ["start"]
