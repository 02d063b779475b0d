"""The law of one operator, checked against the real one: what every declaration must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from prunepass.ir import Array, Atom, Call, Dim, Index, Op, Rule, Space, atoms_of, sizes
from prunepass.ir._cutting import cut_run, gather, kept_of, masked_run

Arrays = tuple[Array | None, ...]


def call_for(op: Op, attrs: dict[str, Any], *arrays: Array | None) -> Call:
    """A Call over plain arrays; all operands count as known."""
    call = Call(
        attrs,
        tuple(None if array is None else array.shape for array in arrays),
        tuple(None if array is None else array.dtype.name for array in arrays),
        lambda position: arrays[position],
    )
    results = tuple(array.shape for array in op.run(call, arrays))
    return Call(attrs, call.shapes, call.dtypes, call.known, results)


def check(
    op: Op,
    attrs: dict[str, Any],
    *arrays: Array | None,
    real: Callable[..., Any] | None = None,
    seed: int = 0,
) -> Rule:
    """Shapes, equality with the real operator, dependence, and cutting against masking.

    Args:
        real: computes the operator in its host from the same arrays; one array or a sequence of them.
    """
    call = call_for(op, attrs, *arrays)
    rule = op.rule(call)
    results = op.run(call, arrays)
    assert tuple(sizes(dims) for dims in rule.results) == tuple(array.shape for array in results)
    for dims, array in zip(rule.operands, arrays, strict=True):
        assert dims is None or (array is not None and sizes(dims) == array.shape)
    if real is not None:
        truth = real(*arrays)
        for ours, theirs in zip(
            results, truth if isinstance(truth, (tuple, list)) else (truth,), strict=False
        ):
            np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-5, atol=1e-5)
    for trial in range(3):
        check_cut(op, call, rule, arrays, np.random.default_rng(seed + trial))
    check_dependence(op, call, rule, arrays, np.random.default_rng(seed))
    return rule


def solved(rule: Rule) -> Space:
    """A space that knows the rule's pins."""
    space = Space()
    for dim, _ in rule.pins:
        space.pin(dim)
    return space


def free_atoms(rule: Rule, space: Space) -> list[Atom]:
    """Atoms of operands and results that may be cut, in order."""
    dims = [dim for group in (*rule.operands, *rule.results) if group is not None for dim in group]
    return list(dict.fromkeys(leaf for dim in dims for leaf in atoms_of(space.norm(dim))))


def check_cut(
    op: Op, call: Call, rule: Rule, arrays: tuple[Array | None, ...], rng: np.random.Generator
) -> None:
    """cut(gathered operands) == gather(masked run), for a random cut of every free atom."""
    space = solved(rule)
    kept: dict[Atom, Index] = {}
    for leaf in free_atoms(rule, space):
        count = int(rng.integers(1, leaf.size + 1))
        kept[leaf] = np.sort(rng.choice(leaf.size, count, replace=False))
    small = cut_run(op, call, rule, space.norm, kept, arrays)
    large = masked_run(op, call, rule, space.norm, kept, arrays)
    for got, whole, dims in zip(small, large, rule.results, strict=False):
        want = gather(whole, kept_of(dims, space.norm, kept))
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def check_dependence(op: Op, call: Call, rule: Rule, arrays: Arrays, rng: np.random.Generator) -> None:
    """Perturb one index of every atom of each float operand: results change only where they share it.

    What is summed over or holds statistics may change everything; what reaches no result, nothing.
    """
    space = solved(rule)
    before = op.run(call, arrays)
    mixing = {leaf for dim in (*rule.contracted, *rule.statistics) for leaf in atoms_of(space.norm(dim))}
    for position, axis, dim in _axes(rule, arrays):
        for leaf in dict.fromkeys(atoms_of(space.norm(dim))):
            if leaf in mixing:
                continue
            keep = {leaf: np.delete(np.arange(leaf.size), rng.integers(leaf.size))}
            after = op.run(call, _moved(arrays, (position, axis), kept_of((dim,), space.norm, keep)[0]))
            for old, new, made in zip(before, after, rule.results, strict=False):
                index = kept_of(made, space.norm, keep)
                np.testing.assert_allclose(gather(new, index), gather(old, index), rtol=1e-12, atol=1e-12)


def _axes(rule: Rule, arrays: Arrays) -> Iterator[tuple[int, int, Dim]]:
    for position, (dims, array) in enumerate(zip(rule.operands, arrays, strict=True)):
        if dims is not None and array is not None and array.dtype.kind == "f":
            yield from ((position, axis, dim) for axis, dim in enumerate(dims))


def _moved(arrays: Arrays, place: tuple[int, int], rest: Array | None) -> Arrays:
    """``arrays`` with everything changed that is not in ``rest`` along an axis of one of them."""
    position, axis = place
    array = arrays[position]
    assert array is not None
    assert rest is not None
    moved = array + 0.75
    index = (slice(None),) * axis + (rest,)
    moved[index] = array[index]
    return (*arrays[:position], moved, *arrays[position + 1 :])


def occurrences(rule: Rule) -> dict[Atom, int]:
    """How often each free atom occurs among all operands and results."""
    space, found = solved(rule), dict[Atom, int]()
    for dims in (*rule.operands, *rule.results):
        for leaf in (leaf for dim in dims or () for leaf in atoms_of(space.norm(dim))):
            found[leaf] = found.get(leaf, 0) + 1
    return found
