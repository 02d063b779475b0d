"""Costs as polynomials agree with what the cost model counts, at any widths and in any numbers."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Atom
from prunepass.passes import CostModel, couple
from prunepass.passes.cost import Polynomial, Term, counted_cost, engine_cost
from tests.graphs import residual
from tests.passes.legal import free_atoms
from tests.passes.networks import random_networks


def test_polynomials_count_what_the_cost_model_counts() -> None:
    rng = np.random.default_rng(0)
    for network in random_networks(40_000, 40):
        coupling = couple(network.graph)
        model = CostModel(coupling)
        widths = {leaf: int(rng.integers(1, leaf.size + 1)) for leaf in free_atoms(coupling)}
        model.set_widths(widths)
        for kind, cost in counted_cost(coupling).items():
            assert cost(widths) == model.totals[kind], network.recipe
            assert isinstance(cost(widths), int)


def test_a_width_may_be_an_array_of_candidates() -> None:
    coupling = couple(residual(16))
    for leaf in free_atoms(coupling):
        candidates = np.arange(1, leaf.size + 1)
        for cost in (*engine_cost(coupling, 8).values(), *counted_cost(coupling).values()):
            many = np.broadcast_to(cost({leaf: candidates}), candidates.shape)
            assert many.tolist() == [float(cost({leaf: int(width)})) for width in candidates]


def test_a_width_may_be_a_tensor_that_remembers_its_gradient() -> None:
    torch = pytest.importorskip("torch")
    coupling = couple(residual(16))
    macs = counted_cost(coupling)["macs"]
    widths = {leaf: torch.tensor(float(leaf.size), requires_grad=True) for leaf in free_atoms(coupling)}
    macs(widths).backward()
    for leaf, width in widths.items():
        narrower = macs({}) - macs({leaf: leaf.size - 1})
        assert float(width.grad) == narrower  # linear in each width by itself


def test_the_part_of_an_atom_is_what_changes_with_it() -> None:
    coupling = couple(residual(16))
    for cost in counted_cost(coupling).values():
        for leaf in free_atoms(coupling):
            part = cost.part(leaf, {}) - cost.part(leaf, {leaf: 3})
            assert part == cost({}) - cost({leaf: 3})


def test_the_least_and_the_most_are_at_the_least_and_the_most_widths() -> None:
    rng = np.random.default_rng(0)
    for network in random_networks(41_000, 20):
        coupling = couple(network.graph)
        allowed = {leaf: sorted({1 + leaf.size // 2, leaf.size}) for leaf in free_atoms(coupling)}
        for cost in counted_cost(coupling).values():
            some = cost({leaf: int(rng.choice(widths)) for leaf, widths in allowed.items()})
            assert cost.least(allowed) <= some <= cost.most(allowed) == cost({})


def test_sizes_are_padded_to_the_grain() -> None:
    leaf = Atom(20)
    cost = Polynomial((Term(2.0, (((1, (leaf,)),),), grain=8),))
    assert [cost({leaf: width}) for width in (8, 9, 16, 20)] == [16, 32, 32, 48]
    assert cost({leaf: np.array([8, 9, 16, 20])}).tolist() == [16, 32, 32, 48]


def test_nodes_whose_time_is_known_otherwise_are_left_out() -> None:
    coupling = couple(residual(16))
    names = frozenset(node.name for node in coupling.graph.nodes)
    assert list(engine_cost(coupling, 1, names)) == ["start"]
