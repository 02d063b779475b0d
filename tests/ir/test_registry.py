"""The table of operators: every name and spelling once, other distributions welcome."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prunepass.ir import Aten, InternalError, Onnx, Op, Registry, registry
from prunepass.ir._broadcast import LIPSCHITZ, unary_rule

NEWEST = 30


def op(name: str, aten: tuple[Aten, ...] = (), onnx: tuple[Onnx, ...] = ()) -> Op:
    return Op(name, ("input",), unary_rule, lambda call, x: x, LIPSCHITZ, aten, onnx)


def test_operators_are_found_by_name_and_by_each_spelling() -> None:
    spelling, other = Aten(("twice.default", "twice.out")), Onnx(("Twice", "com.example::Twice"))
    twice = op("twice", (spelling,), (other,))
    table = Registry([op("once"), twice])
    assert table["twice"] is table.ops["twice"] is twice
    assert list(table.ops) == ["once", "twice"]
    assert table.aten("twice.out") == (twice, spelling)
    assert table.aten("thrice.default") is None
    assert table.aten_targets() == ("twice.default", "twice.out")
    assert table.onnx("com.example::Twice", 1) == (twice, other)
    assert table.onnx("Once", 1) is None


def test_a_spelling_holds_for_its_versions_only() -> None:
    old, new = (
        op("old", onnx=(Onnx(("Clip",), until=10),)),
        op("new", onnx=(Onnx(("Clip",), since=11, until=18),)),
    )
    table = Registry([old, new])
    found = {version: table.onnx("Clip", version) for version in (1, 10, 11, 18, 19)}
    assert {version: spelt and spelt[0].name for version, spelt in found.items()} == {
        1: "old", 10: "old", 11: "new", 18: "new", 19: None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "what"),
    [
        ((op("same"), op("same")), "'same' is declared twice"),
        ((op("a", (Aten(("f.x",)),)), op("b", (Aten(("f.x",)),))), "two declarations claim aten 'f.x'"),
    ],
)
def test_two_declarations_of_one_thing_are_refused(pair: tuple[Op, Op], what: str) -> None:
    with pytest.raises(InternalError, match=what):
        Registry(pair)


def spellings() -> Iterator[tuple[str, Op, Onnx]]:
    for declared in registry().ops.values():
        for spelling in declared.onnx:
            for kind in spelling.types:
                yield kind, declared, spelling


def test_no_two_declarations_claim_an_onnx_type_at_one_version() -> None:
    for version in range(1, NEWEST):
        claimed: dict[str, str] = {}
        for kind, declared, spelling in spellings():
            if spelling.since <= version <= spelling.until:
                assert kind not in claimed, f"{kind} at {version}: {claimed[kind]} and {declared.name}"
                claimed[kind] = declared.name


def test_the_built_in_table_is_made_once() -> None:
    assert registry() is registry()
    assert registry().ops["conv"].position("bias") == 2
    assert registry().ops["conv"].position("slope") is None


def test_names_of_operators_and_operands_are_plain_words() -> None:
    for name, declared in registry().ops.items():
        assert name.isidentifier()
        assert name == name.lower()
        assert all(operand.isidentifier() for operand in declared.operands)
        assert len(set(declared.operands)) == len(declared.operands)
