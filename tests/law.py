"""The law of one operator, checked against the real one: what every declaration must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from prunepass.ir import Array, Atom, Call, Index, Op, Rule, Space, atoms_of, sizes
from prunepass.ir._cutting import cut_run, gather, kept_of, masked_run


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


def check_dependence(
    op: Op, call: Call, rule: Rule, arrays: tuple[Array | None, ...], rng: np.random.Generator
) -> None:
    """Perturb one index of an operand's axis: results may change only at indices that share it.

    Where the perturbed atom is contracted, holds statistics or is pinned, every result may change.
    """
    space = solved(rule)
    before = op.run(call, arrays)
    mixing = {leaf for dim in (*rule.contracted, *rule.statistics) for leaf in atoms_of(space.norm(dim))}
    for position, dims in enumerate(rule.operands):
        array = arrays[position]
        if dims is None or array is None or array.dtype.kind != "f":
            continue
        for axis, dim in enumerate(dims):
            now = space.norm(dim)
            for leaf in dict.fromkeys(atoms_of(now)):
                if leaf in mixing:
                    continue
                index = int(rng.integers(leaf.size))
                keep = {leaf: np.delete(np.arange(leaf.size), index)}
                rest = kept_of((now,), space.norm, keep)[0]
                moved = array.copy()
                touched = np.setdiff1d(np.arange(now.size), rest)
                moved[(slice(None),) * axis + (touched,)] += rng.uniform(0.5, 1.0)
                after = op.run(call, (*arrays[:position], moved, *arrays[position + 1 :]))
                reached = False
                for old, new, made in zip(before, after, rule.results, strict=False):
                    same = kept_of(made, space.norm, keep)
                    reached |= any(part is not None for part in same)
                    np.testing.assert_allclose(gather(new, same), gather(old, same), rtol=1e-12, atol=1e-12)
                assert reached, f"atom of operand {position} axis {axis} reaches no result"
