"""The algebra alone: random equation systems must be solved soundly and whatever their order."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunepass.ir import (
    Atom,
    Dim,
    Fixed,
    InternalError,
    Pin,
    Space,
    atom,
    atoms_of,
    kept_index,
    kept_size,
    positions,
    prod,
    total,
)

Equation = tuple[Dim, Dim]


@st.composite
def expressions(draw: st.DrawFn, size: int, pool: list[Dim], depth: int = 3, products: bool = True) -> Dim:
    """A random dim of ``size`` entries over shared and fresh atoms."""
    same = [dim for dim in pool if dim.size == size]
    kind = draw(st.integers(0, 5))
    if same and kind < 2:
        return draw(st.sampled_from(same))
    divisors = [n for n in range(2, size) if size % n == 0]
    if products and depth and divisors and kind == 2:
        inner = draw(st.sampled_from(divisors))
        return prod(
            draw(expressions(size // inner, pool, depth - 1)), draw(expressions(inner, pool, depth - 1))
        )
    if depth and size > 1 and kind == 3:
        first = draw(st.integers(1, size - 1))
        return total(
            draw(expressions(first, pool, depth - 1, products)),
            draw(expressions(size - first, pool, depth - 1, products)),
        )
    if kind == 4 and draw(st.integers(0, 3)) == 0:
        return Fixed(size, (Pin("given"),))
    fresh = atom(size)
    pool.append(fresh)
    return fresh


@st.composite
def systems(draw: st.DrawFn, products: bool = True) -> list[Equation]:
    """A few equations between random dims of equal size."""
    pool: list[Dim] = []
    base = draw(st.sampled_from([2, 3, 4, 6, 8, 12, 16, 24, 30]))
    equations = []
    for _ in range(draw(st.integers(1, 6))):
        size = base * draw(st.sampled_from([1, 1, 1, 2, 3]))
        sides = (draw(expressions(size, pool, 3, products)) for _ in range(2))
        equations.append((next(sides), next(sides)))
    return equations


def _solve(equations: list[Equation]) -> Space:
    space = Space()
    for left, right in equations:
        space.unify(left, right)
    return space


def _kept_mask(space: Space, dim: Dim, kept: dict[Atom, np.ndarray]) -> np.ndarray:
    now = space.norm(dim)
    mask = np.zeros(now.size, dtype=bool)
    mask[kept_index(now, kept)] = True
    return mask


@given(systems(), st.integers(0, 2**32 - 1))
def test_any_cut_of_free_atoms_keeps_the_same_entries_on_both_sides_of_every_equation(
    equations: list[Equation], seed: int
) -> None:
    space, rng = _solve(equations), np.random.default_rng(seed)
    free = dict.fromkeys(leaf for sides in equations for side in sides for leaf in atoms_of(space.norm(side)))
    kept = {leaf: np.flatnonzero(rng.random(leaf.size) < 0.6) for leaf in free}
    for left, right in equations:
        np.testing.assert_array_equal(_kept_mask(space, left, kept), _kept_mask(space, right, kept))
        count = kept_size(space.norm(left), {leaf: len(index) for leaf, index in kept.items()})
        assert count == _kept_mask(space, left, kept).sum()


def _partition(space: Space, equations: list[Equation]) -> list[list[int]]:
    """For every entry of every side, the first entry that is cut by exactly the same decisions."""
    rows, numbers = [], dict[tuple[object, ...], int]()
    for left, right in equations:
        for side in (left, right):
            now = space.norm(side)
            signature: list[list[tuple[int, int]]] = [[] for _ in range(now.size)]
            for leaf, places in positions(now).items():
                for entries, index in places:
                    for entry, at in zip(entries.tolist(), index.tolist(), strict=True):
                        signature[entry].append((id(leaf), at))
            rows.append([numbers.setdefault(tuple(sorted(s)), len(numbers)) for s in signature])
    return rows


@given(systems(products=False), st.randoms(use_true_random=False))
def test_concats_give_the_same_result_in_any_order(equations: list[Equation], random: Random) -> None:
    """Groupings that cut through rows of a product may pin more or less by order, always soundly."""
    order = list(range(len(equations)))
    random.shuffle(order)
    one = _partition(_solve(equations), equations)
    other = _partition(_solve([equations[i] for i in order]), equations)
    assert one == other


def test_concat_refines_the_atom_it_meets() -> None:
    space, whole, a, b = Space(), atom(32), atom(16), atom(16)
    space.unify(whole, total(a, b))
    assert list(atoms_of(space.norm(whole))) == [a, b]


def test_reshape_factors_the_atom_it_meets() -> None:
    space, whole, heads, width = Space(), atom(12), atom(3), atom(4)
    space.unify(whole, prod(heads, width))
    np.testing.assert_array_equal(
        kept_index(space.norm(whole), {heads: np.array([0, 2])}), [0, 1, 2, 3, 8, 9, 10, 11]
    )


def test_a_pin_reaches_everything_it_is_bound_to() -> None:
    space, a, b = Space(), atom(8), atom(8)
    space.unify(a, b)
    space.pin(a, Pin("because"))
    found = space.norm(b)
    assert isinstance(found, Fixed)
    assert found.pins == (Pin("because"),)


def test_of_products_without_a_common_factor_only_the_smallest_block_is_pinned() -> None:
    space, a, b = Space(), prod(atom(4), atom(3)), prod(atom(6), atom(2))
    space.unify(a, b)
    assert [leaf.size for leaf in atoms_of(space.norm(a))] == [2]
    assert space.norm(a).size == space.norm(b).size == 12


def test_dims_of_different_size_are_refused() -> None:
    with pytest.raises(InternalError):
        Space().unify(atom(3), atom(4))


@pytest.mark.parametrize("count", [400, 3000])
def test_long_chains_of_concats_neither_overflow_nor_explode(count: int) -> None:
    space, grown = Space(), atom(4)
    for _ in range(count):
        wide = atom(grown.size + 2)
        space.unify(wide, total(grown, atom(2)))
        if count <= 400:
            grown = wide
    space.unify(atom(grown.size), grown)
    assert space.norm(grown).size == grown.size


def test_chained_splits_neither_overflow_nor_explode() -> None:
    space, whole = Space(), atom(6000)
    rest = whole
    for _ in range(2000):
        _, rest = space.split(rest, 3) if rest.size > 3 else (None, rest)
    assert len(list(atoms_of(space.norm(whole)))) == 2000
