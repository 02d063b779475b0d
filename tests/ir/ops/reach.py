"""Dependence for operators that drop entries: what reaches no result must change no result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Call, Dim, Op, Rule, atoms_of
from prunepass.ir._cutting import gather, kept_of
from tests.law import solved

Arrays = tuple[Array | None, ...]


@pytest.fixture(autouse=True)
def dropped_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import this into a module whose operators drop entries."""
    monkeypatch.setattr("tests.law.check_dependence", check_reach)


def check_reach(op: Op, call: Call, rule: Rule, arrays: Arrays, rng: np.random.Generator) -> None:
    """Perturb one index of each atom of each float operand: results change only where they share it."""
    space = solved(rule)
    before = op.run(call, arrays)
    for position, axis, dim in _axes(rule, arrays):
        for leaf in dict.fromkeys(atoms_of(space.norm(dim))):
            keep = {leaf: np.delete(np.arange(leaf.size), rng.integers(leaf.size))}
            after = op.run(call, _moved(arrays, (position, axis), kept_of((dim,), space.norm, keep)[0]))
            for old, new, made in zip(before, after, rule.results, strict=True):
                index = kept_of(made, space.norm, keep)
                np.testing.assert_array_equal(gather(new, index), gather(old, index))


def _axes(rule: Rule, arrays: Arrays) -> Iterator[tuple[int, int, Dim]]:
    for position, (dims, array) in enumerate(zip(rule.operands, arrays, strict=True)):
        if dims is not None and array is not None and array.dtype.kind == "f":
            yield from ((position, axis, dim) for axis, dim in enumerate(dims))


def _moved(arrays: Arrays, place: tuple[int, int], rest: Array | None) -> Arrays:
    """``arrays`` with everything changed that is not in ``rest`` along an axis of one of them."""
    position, axis = place
    array = arrays[position]
    assert array is not None and rest is not None
    moved = array + 1.0
    index = (slice(None),) * axis + (rest,)
    moved[index] = array[index]
    return (*arrays[:position], moved, *arrays[position + 1 :])


def free(rule: Rule) -> dict[Atom, int]:
    """How often each atom occurs among all operands and results."""
    space, found = solved(rule), dict[Atom, int]()
    for dims in (*rule.operands, *rule.results):
        for leaf in (leaf for dim in dims or () for leaf in atoms_of(space.norm(dim))):
            found[leaf] = found.get(leaf, 0) + 1
    return found
