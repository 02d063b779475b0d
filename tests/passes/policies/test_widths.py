"""Widths stay on the grain that an engine rewards, also where a dim is a product of several groups."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Atom, Dim, Prod, atoms_of, kept_size
from prunepass.passes import Coupling, couple
from prunepass.passes.policies._widths import Grain, allowed_widths, least_widths, multiples
from tests.graphs import Builder, chain
from tests.passes.networks import random_networks


def by_name(coupling: Coupling, align: int) -> dict[str, tuple[int, int]]:
    """Size and step of every group."""
    found = multiples(coupling, align)
    return {group.name: (group.size, found[group.atom]) for group in coupling.prunable if group.atom}


def grouped(inside: int, outside: int, groups: int = 4) -> Coupling:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), groups * inside, path="a")
    x = net.conv(x, groups * outside, path="b", groups=groups)
    return couple(net.graph(net.conv(x, 5, path="c")))


@pytest.mark.parametrize(
    ("size", "step", "floor", "widths"),
    [
        (8, 1, 0.0, [8, 7, 6, 5, 4, 3, 2, 1]),
        (16, 4, 0.0, [16, 12, 8, 4]),
        (10, 4, 0.0, [10, 8, 4]),
        (16, 4, 0.5, [16, 12, 8]),
        (10, 1, 0.75, [10, 9, 8]),
        (8, 8, 0.0, [8]),
        (5, 8, 0.0, [5]),
        (9, 8, 0.0, [9, 8]),
        (6, 1, 1.0, [6]),
    ],
)
def test_widths_go_down_in_steps_as_far_as_the_floor(
    size: int, step: int, floor: float, widths: list[int]
) -> None:
    assert allowed_widths(size, step, floor) == widths


def normed(op: str, layers: int = 1, *, in_place: bool = False, **attrs: object) -> Coupling:
    """Layers side by side, a norm over all their channels, or over positions as well, and what reads it."""
    net = Builder()
    x = net.input(2, 5, 6)
    parts = [net.linear(x, 4 + at, path=f"part{at}") for at in range(layers)]
    x = parts[0] if layers == 1 else net.add("concat", *parts, axis=2)
    if in_place:
        x = net.add("permute", net.add(op, net.add("permute", x, order=(0, 2, 1)), **attrs), order=(0, 2, 1))
    else:
        x = net.add(op, x, **attrs)
    return couple(net.graph(net.linear(x, 3, path="out")))


_LAST = {"axis": 2, "eps": 1e-5}


@pytest.mark.parametrize(
    ("coupling", "least"),
    [
        (normed("layer_norm", **_LAST, normalized_shape=(4,)), [2]),
        (normed("rms_norm", **_LAST, normalized_shape=(4,)), [1]),
        (normed("layer_norm", 2, **_LAST, normalized_shape=(9,)), [1, 1]),
        (normed("group_norm", in_place=True, groups=1), [1]),
    ],
)
def test_what_is_compared_with_its_own_mean_keeps_two_entries(coupling: Coupling, least: list[int]) -> None:
    """Another channel or position beside it is the second one; a mean square needs none."""
    assert list(least_widths(coupling).values()) == least
    assert allowed_widths(4, 1, 0.0, least[0])[-1] == least[0]


def test_of_two_groups_that_make_up_what_is_compared_the_wider_keeps_two() -> None:
    net = Builder()
    x = net.linear(net.input(2, 6), 3 * 8, path="both")
    x = net.add("tanh", net.add("reshape", x, shape=(2, 3, 8)))
    x = net.add("layer_norm", x, axis=1, normalized_shape=(3, 8), eps=1e-5)
    x = net.linear(net.add("reshape", x, shape=(2, 24)), 5, path="out")
    coupling = couple(net.graph(x))
    least = {group.size: least_widths(coupling)[group.atom] for group in coupling.prunable if group.atom}
    assert least == {3: 1, 8: 2}


def test_a_plain_group_moves_in_steps_of_the_grain() -> None:
    assert by_name(couple(chain(16)), 8) == {"a": (16, 8)}
    assert by_name(couple(chain(16)), 1) == {"a": (16, 1)}


def test_four_channels_in_each_group_move_the_groups_in_twos() -> None:
    found = by_name(grouped(4, 4), 8)
    assert found["a"] == (4, 2)
    assert found["a#2"][1] == found["b"][1] == 4


@pytest.mark.parametrize(("inside", "outside"), [(16, 4), (4, 16)])
def test_groups_keep_the_grain_of_both_sides_in_whatever_order_they_are_met(
    inside: int, outside: int
) -> None:
    found = by_name(grouped(inside, outside), 8)
    assert found["a"] == (4, 2)
    assert sorted(step for _, step in list(found.values())[1:]) == [4, 8]


def test_the_width_of_a_head_carries_the_grain_and_frees_the_number_of_heads() -> None:
    net = Builder()
    x = net.linear(net.input(2, 5, 6), 4 * 16, path="q")
    x = net.add("reshape", x, shape=(2, 5, 4, 16))
    x = net.add("reshape", net.add("tanh", x), shape=(2, 5, 64))
    found = by_name(couple(net.graph(net.linear(x, 3, path="out"))), 8)
    assert sorted(found.values()) == [(4, 1), (16, 8)]


def test_dims_that_are_on_the_grain_stay_on_it_at_every_choice_of_widths() -> None:
    """Sums are left out: their segments keep the grain one by one."""
    align, checked = 4, 0
    rng = np.random.default_rng(0)
    for network in random_networks(40_000, 300):
        coupling = couple(network.graph)
        grain = multiples(coupling, align)
        widths = {leaf: int(rng.choice(allowed_widths(leaf.size, step, 0.0))) for leaf, step in grain.items()}
        for name in network.graph.values:
            for dim in coupling.dims[name]:
                if dim.size % align == 0 and _plain(dim, widths):
                    assert kept_size(dim, widths) % align == 0, f"{network.recipe}: {name}"
                    checked += any(widths[leaf] < leaf.size for leaf in atoms_of(dim) if leaf in widths)
    assert checked > 100


def _plain(dim: Dim, free: dict[Atom, int]) -> bool:
    """A group by itself or a product of groups and fixed sizes."""
    return isinstance(dim, Atom) or (
        isinstance(dim, Prod) and not any(_has_parts(part) for part in dim.parts)
    )


def _has_parts(dim: Dim) -> bool:
    return hasattr(dim, "parts")


def test_a_multiple_for_one_kind_of_work_holds_for_the_tensors_of_such_nodes() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 64, 3, path="windows", padding=1)
    x = net.conv(net.add("relu", x), 64, path="points")
    coupling = couple(net.graph(net.linear(net.add("flatten", x, start=1, end=3), 5, path="head")))
    found = {
        group.name: multiples(coupling, Grain(4, {"window": 16}))[group.atom]
        for group in coupling.prunable
        if group.atom
    }
    assert found == {"windows": 16, "points": 4}


def test_the_narrower_key_of_a_grain_wins() -> None:
    grain = Grain(2, {"dense": 8, "dense/int8": 32})
    assert [grain.of("dense", "int8"), grain.of("dense", "float32"), grain.of("window", "int8")] == [32, 8, 2]
    assert grain.coarsest == 32


def test_a_group_narrower_than_the_grain_moves_in_its_minimum_and_stays_whole_without_one() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 8, path="narrow")
    x = net.conv(net.add("relu", x), 32, path="wide")
    coupling = couple(net.graph(net.linear(net.add("flatten", x, start=1, end=3), 5, path="head")))

    def found(grain: Grain) -> dict[str, list[int]]:
        by_atom = multiples(coupling, grain)
        return {g.name: allowed_widths(g.size, by_atom[g.atom], 0.0) for g in coupling.prunable if g.atom}

    assert found(Grain(16)) == {"narrow": [8], "wide": [32, 16]}
    assert found(Grain(16, {}, 4)) == {"narrow": [8, 4], "wide": [32, 16]}
