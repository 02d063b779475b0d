"""Einstein summation."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Sampler, UnsupportedError
from prunepass.ir._cutting import _count
from prunepass.ir.ops._einsum import _explicit
from tests.law import free_atoms, solved
from tests.probe import assert_bound, assert_share, data, probe_aten, probe_onnx

CASES: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("b i d, d e -> b e i", [(2, 3, 4), (4, 5)]),
    ("...d,de->...e", [(2, 3, 4), (4, 5)]),
    ("...id,...jd->...ij", [(2, 3, 4), (5, 2, 3, 4)]),
    ("...ij,...jk", [(2, 3, 4), (4, 5)]),
    ("b...,b...->b...", [(2, 3, 4), (2, 3, 4)]),
    ("ij->", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("i,j->ij", [(3,), (4,)]),
    ("i,i", [(3,), (3,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("ii->i", [(3, 3)]),
    ("bii->b", [(2, 3, 3)]),
    ("ii,ij->j", [(3, 3), (3, 4)]),
    ("nctw,cd->ndtw", [(2, 3, 4, 5), (3, 6)]),
]

# Dots that stand for different numbers of axes: ONNX Runtime refuses them.
UNEVEN = {"...id,...jd->...ij", "...ij,...jk"}


@pytest.mark.parametrize(("equation", "shapes"), CASES)
def test_equations(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [data(*shape, seed=i) for i, shape in enumerate(shapes)]
    probe = probe_aten("einsum.default", equation, arrays)
    assert_bound(probe)
    for position in range(len(arrays)):
        if "ii" not in equation:
            assert_share(probe, position)
    if equation not in UNEVEN:
        probe_onnx("Einsum", 12, arrays, {"equation": equation})


def test_an_axis_of_one_entry_is_broadcast_by_torch() -> None:
    probe = probe_aten("einsum.default", "ij,ij->i", [data(2, 1), data(2, 3, seed=1)])
    assert_share(probe, 0)
    assert_share(probe, 1)


def test_capital_letters_come_first_in_an_implicit_result() -> None:
    probe_aten("einsum.default", "aB,Ac", [data(2, 3), data(4, 5)])


def test_a_diagonal_is_pinned_with_the_reason() -> None:
    probe = probe_aten("einsum.default", "bii->bi", [data(2, 3, 3)])
    assert [(dim.size, reason) for dim, reason in probe.rule.pins] == [(3, "a diagonal is read")]
    assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [2]


def test_work_is_the_product_of_all_labels() -> None:
    probe = probe_aten("einsum.default", "bij,jk->bik", [data(2, 3, 4), data(4, 5)])
    (dims,) = probe.rule.work
    assert np.prod([_count(dim, lambda dim: dim, {}) for dim in dims]) == 2 * 3 * 4 * 5


@pytest.mark.parametrize(
    ("equation", "shapes", "want"),
    [
        ("...d,de->...e", ((2, 3, 4), (4, 5)), "ABd,de->ABe"),
        ("...i,i", ((2, 3), (3,)), "Ai,i->A"),
        ("ba,...a->...b", ((4, 3), (2, 3)), "ba,Aa->Ab"),
        ("...i,...i->...", ((3,), (3,)), "i,i->"),
    ],
)
def test_dots_become_letters(equation: str, shapes: tuple[tuple[int, ...], ...], want: str) -> None:
    assert _explicit(equation, shapes) == want


@pytest.mark.parametrize(
    ("equation", "shapes"), [("ij,jk->ik", [(2, 3)]), ("ij->i", [(2, 3, 4)]), ("ij,jk->ik", [(2, 3), (4, 5)])]
)
def test_equations_that_do_not_fit_are_refused(equation: str, shapes: list[tuple[int, ...]]) -> None:
    from prunepass.ir import Call, registry

    op, spelling = registry().aten("einsum.default") or pytest.fail("not declared")
    assert spelling.fix is not None
    with pytest.raises(UnsupportedError):
        op.rule(Call(spelling.fix({"equation": equation}, tuple(shapes)), tuple(shapes)))


def test_moments_of_one_weight() -> None:
    probe = probe_aten("einsum.default", "bci,cd->bdi", [data(1, 4, 6), data(4, 3, seed=1)])
    mean, deviation = data(1, 4, 1, seed=7), data(1, 4, 1, seed=8, low=0.5)
    sample = Sampler(3).normal(mean, deviation)
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample, data(4, 3, seed=1)[None]), Sampler(4))
    assert moments is not None
    np.testing.assert_allclose(moments.mean(axis=0)[0, :, 0], mean[0, :, 0] @ data(4, 3, seed=1), atol=1e-9)
