"""Rules in the notation of einsum."""

from __future__ import annotations

import pytest

from prunepass.ir import Call, Dims, InternalError, Rule, UnsupportedError, atoms_of, relation


def call(*shapes: tuple[int, ...] | None, **attrs: object) -> Call:
    return Call(attrs, shapes)


def sizes(dims: Dims | None) -> tuple[int, ...] | None:
    return None if dims is None else tuple(dim.size for dim in dims)


def shared(rule: Rule, left: Dims | None, right: Dims | None) -> int:
    """How many atoms two tensors have in common."""
    assert left is not None
    assert right is not None
    return len({a for dim in left for a in atoms_of(dim)} & {a for dim in right for a in atoms_of(dim)})


def test_operands_with_one_name_share_an_index_space_and_what_no_result_has_is_contracted() -> None:
    rule = relation("n.. i, o i, o -> n.. o")(call((2, 3, 5), (7, 5), (7,)))
    assert [sizes(dims) for dims in rule.operands] == [(2, 3, 5), (7, 5), (7,)]
    assert [sizes(dims) for dims in rule.results] == [(2, 3, 7)]
    assert sizes(rule.contracted) == (5,)
    assert shared(rule, rule.operands[0], rule.operands[1]) == 1
    assert shared(rule, rule.operands[1], rule.results[0]) == 1
    assert sorted(sizes(rule.work[0]) or ()) == [2, 3, 5, 7]


@pytest.mark.parametrize("shapes", [((4, 6),), ((4, 6), None)])
def test_operands_that_a_call_lacks_are_left_out(shapes: tuple[tuple[int, ...] | None, ...]) -> None:
    rule = relation("n.. c, c -> n.. c")(call(*shapes))
    assert len(rule.operands) == len(shapes)
    assert not rule.contracted
    assert not rule.work


def test_brackets_are_a_product_outer_first() -> None:
    rule = relation("n (g i), (g o) i -> n (g o)", sizes={"g": "groups"})(call((2, 12), (20, 3), groups=4))
    assert sizes(rule.results[0]) == (2, 20)
    assert sizes(rule.contracted) == (3,)
    assert {name: dim.size for name, dim in rule.sizes.items() if not isinstance(dim, tuple)} == {"groups": 4}
    # The count of groups is one space in data, weight and result.
    assert shared(rule, rule.operands[0], rule.results[0]) == 2
    assert shared(rule, rule.operands[1], rule.results[0]) == 2


def test_statistics_are_not_contracted() -> None:
    rule = relation("n c s.. -> n c", statistics="s..")(call((2, 3, 4, 5)))
    assert sizes(rule.statistics) == (4, 5)
    assert not rule.contracted


@pytest.mark.parametrize(
    ("text", "shapes", "what"),
    [
        ("n.. i, o i -> n.. o", ((2, 5), (7, 6)), "axis 'i'"),
        ("n i -> n i", ((2, 3, 4),), "other axes"),
        ("n.. i j -> n.. i", ((2,),), "other axes"),
        ("n (g i), g -> n g", ((2, 10), (4,)), "no product"),
        ("n -> n o", ((2,),), "size of axis 'o'"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    text: str, shapes: tuple[tuple[int, ...], ...], what: str
) -> None:
    with pytest.raises(UnsupportedError, match=what):
        relation(text)(call(*shapes))


def test_a_relation_without_an_arrow_is_a_slip_of_its_author() -> None:
    with pytest.raises(InternalError, match="needs '->'"):
        relation("n i")
