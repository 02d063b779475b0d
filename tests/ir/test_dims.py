"""Dim expressions: normal form, which entries a cut keeps, and where an atom's indices stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunepass.ir import (
    Atom,
    Dim,
    Fixed,
    Index,
    Pin,
    Prod,
    Sum,
    atom,
    atoms,
    atoms_of,
    fixed,
    kept_index,
    kept_size,
    leaves,
    positions,
    prod,
    sizes,
    total,
)


@st.composite
def dims(draw: st.DrawFn, pool: list[Atom], depth: int = 3) -> Dim:
    """A random expression over the atoms of ``pool`` and Fixed parts."""
    kind = draw(st.integers(0, 4 if depth else 1))
    if kind == 0:
        return Fixed(draw(st.integers(0, 3)))
    if kind == 1:
        return draw(st.sampled_from(pool))
    parts = draw(st.lists(dims(pool, depth - 1), min_size=1, max_size=3))
    return prod(*parts) if kind == 2 else total(*parts)


POOL = [Atom(2), Atom(3), Atom(4)]
KEPT = st.tuples(*(st.sets(st.integers(0, leaf.size - 1), min_size=1) for leaf in POOL))


def entries(dim: Dim, kept: dict[Atom, Index]) -> list[bool]:
    """Which entries stay, said once more the slow way."""
    if isinstance(dim, Atom):
        return [index in kept[dim] for index in range(dim.size)]
    if isinstance(dim, Fixed):
        return [True] * dim.size
    parts = [entries(part, kept) for part in dim.parts]
    if isinstance(dim, Sum):
        return [stays for part in parts for stays in part]
    whole = [True]
    for part in parts:
        whole = [outer and inner for outer in whole for inner in part]
    return whole


@given(dims(POOL), KEPT)
def test_kept_indices_are_those_whose_every_part_is_kept(dim: Dim, chosen: tuple[set[int], ...]) -> None:
    kept = {leaf: np.array(sorted(index)) for leaf, index in zip(POOL, chosen, strict=True)}
    want = np.flatnonzero(entries(dim, kept))
    np.testing.assert_array_equal(kept_index(dim, kept), want)
    assert kept_size(dim, {leaf: len(index) for leaf, index in kept.items()}) == len(want)
    assert len(kept_index(dim, {})) == dim.size == kept_size(dim, {})


@given(dims(POOL))
def test_positions_tell_every_entry_of_every_index(dim: Dim) -> None:
    found = positions(dim)
    assert set(found) == set(atoms_of(dim))
    for leaf, places in found.items():
        for index in range(leaf.size):
            rest = {leaf: np.delete(np.arange(leaf.size), index)}
            gone = np.setdiff1d(np.arange(dim.size), kept_index(dim, rest))
            told = np.concatenate([entry[at == index] for entry, at in places])
            np.testing.assert_array_equal(np.unique(told), gone)


@given(dims(POOL))
def test_expressions_are_in_normal_form(dim: Dim) -> None:
    assert dim.size == len(entries(dim, {leaf: np.arange(leaf.size) for leaf in POOL}))
    stack: list[Dim] = [dim]
    while stack:
        part = stack.pop()
        if isinstance(part, (Prod, Sum)):
            assert len(part.parts) > 1
            assert not any(isinstance(inner, type(part)) for inner in part.parts)
            stack.extend(part.parts)
        if isinstance(part, Prod):
            assert not isinstance(part.parts[0], Sum)
            assert all(inner.size > 1 for inner in part.parts)
        if isinstance(part, Sum):
            assert all(inner.size for inner in part.parts)
            pairs = zip(part.parts, part.parts[1:], strict=False)
            assert not any(isinstance(a, Fixed) and isinstance(b, Fixed) for a, b in pairs)


def test_sizes_nought_and_one_have_nothing_to_cut() -> None:
    assert [type(dim) for dim in atoms((0, 1, 2))] == [Fixed, Fixed, Atom]


def test_nothing_is_a_product_of_size_one_and_a_sum_of_size_nought() -> None:
    assert (prod().size, total().size) == (1, 0)
    assert isinstance(prod(), Fixed)


def test_single_parts_are_themselves() -> None:
    a = atom(3)
    assert prod(a) is prod(a, Fixed(1)) is total(a) is total(Fixed(0), a) is a


def test_an_outermost_sum_goes_out_of_a_product() -> None:
    a, b, c = atom(2), atom(3), atom(4)
    dim = prod(total(a, b), c)
    assert isinstance(dim, Sum)
    assert [isinstance(part, Prod) and part.parts for part in dim.parts] == [(a, c), (b, c)]


def test_a_sum_inside_a_product_stays_there() -> None:
    dim = prod(atom(2), total(atom(2), atom(3)))
    assert isinstance(dim, Prod)
    assert isinstance(dim.parts[1], Sum)


def test_neighbouring_fixed_parts_become_one_with_both_reasons() -> None:
    dim = total(Fixed(2, (Pin("one"),)), Fixed(3, (Pin("two"), Pin("one"))))
    assert isinstance(dim, Fixed)
    assert (dim.size, [pin.reason for pin in dim.pins]) == (5, ["one", "two"])
    product = prod(*fixed((2, 3), Pin("why")))
    assert isinstance(product, Fixed)
    assert (product.size, product.pins) == (6, (Pin("why"),))


def test_a_product_with_nothing_is_nothing() -> None:
    assert isinstance(prod(atom(3), Fixed(0)), Fixed)
    assert prod(atom(3), Fixed(0)).size == 0


def test_leaves_come_in_order_and_as_often_as_they_occur() -> None:
    a, b = POOL[0], POOL[1]
    dim = total(prod(a, b), Fixed(2), b)
    assert [leaf.size for leaf in leaves(dim)] == [2, 3, 2, 3]
    assert list(atoms_of(dim)) == [a, b, b]
    assert sizes((dim, a)) == (11, 2)


def test_atoms_are_told_apart_by_identity() -> None:
    assert Atom(3) != Atom(3)
    assert len({Atom(3), Atom(3)}) == 2


@pytest.mark.parametrize("count", [3000])
def test_long_expressions_do_not_overflow(count: int) -> None:
    dim: Dim = atom(2)
    for _ in range(count):
        dim = total(dim, atom(2))
    assert dim.size == 2 * count + 2
    assert len(list(leaves(dim))) == count + 1
    assert kept_index(dim, {}).size == dim.size
