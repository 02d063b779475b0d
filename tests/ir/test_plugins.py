"""The plug-in table: the same rules and the same error for every kind of thing that others may add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prunepass import backends, drivers
from prunepass.ir import BackendError, PrunepassError, Table, UsageError, registry
from prunepass.passes import passes, policies, scores
from prunepass.passes.analyses.families import families
from tests.plugins import Installer

CONFIGURED = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    size: int = 3

    def __call__(self, given):
        return given
"""
BACKEND = """
class Backend:
    name, reads = "mine", ("onnx",)

    def unavailable(self):
        return "no such hardware"

    def version(self):
        return "1"

    def clock(self, options=None):
        return "wall"

    def build(self, model, *, options=None):
        raise NotImplementedError

Mine = Backend()
"""
OPS = """
from prunepass.ir import registry
from dataclasses import replace
from prunepass.ir.ops._activation import ops as known

class Mine:
    ops = (replace(known[0], name="swirl", aten=(), onnx=()),)

class Again:
    ops = known[:1]
"""


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in: where it is added, and how it is looked up."""

    kind: str
    group: str
    get: Callable[[str], Any]
    names: Callable[[], Any]
    code: str = CONFIGURED
    builtin: str = ""
    error: type[PrunepassError] = UsageError

    def __str__(self) -> str:
        return self.kind


KINDS = (
    Kind("pass", "prunepass.passes", lambda name: passes()[name], passes, builtin="cut"),
    Kind("score", "prunepass.scores", scores.get, scores.names, builtin="l1"),
    Kind("policy", "prunepass.policies", lambda name: policies.policies()[name], policies.policies),
    Kind("driver", "prunepass.drivers", lambda name: drivers.drivers()[name], drivers.drivers),
    Kind("family of inputs", "prunepass.families", lambda name: families()[name], families, builtin="leaves"),
    Kind("backend", "prunepass.backends", backends.get, backends.names, BACKEND, "torch", BackendError),
    Kind("operator family", "prunepass.ops", lambda name: registry(), lambda: (), OPS),
)
CHOSEN = KINDS[:-1]
each = pytest.mark.parametrize("kind", KINDS, ids=str)
each_chosen = pytest.mark.parametrize("kind", CHOSEN, ids=str)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    registry.cache_clear()
    yield Installer(tmp_path, monkeypatch)
    registry.cache_clear()


@each_chosen
def test_what_another_distribution_adds_is_found_by_its_name(kind: Kind, install: Installer) -> None:
    before = tuple(kind.names())
    install(kind.group, {"mine": "theirs_code:Mine"}, kind.code)
    assert tuple(kind.names()) == tuple(sorted((*before, "mine")))
    assert kind.get("mine").name == "mine"


def test_operators_of_another_distribution_stand_beside_the_built_in_ones(install: Installer) -> None:
    before = dict(registry().ops)
    registry.cache_clear()
    install("prunepass.ops", {"mine": "theirs_code:Mine"}, OPS)
    assert registry().ops == {**before, "swirl": registry()["swirl"]}


BROKEN = {
    "no such module": ("nowhere.at_all:Mine", "does not load: ModuleNotFoundError"),
    "no such attribute": ("theirs_code:Other", "does not load: AttributeError"),
    "a module that raises": ("theirs_code:Mine", "does not load: ZeroDivisionError"),
    "a module that leaves": ("theirs_code:Mine", "does not load: SystemExit"),
    "nothing of the kind": ("theirs_code:Odd", "is no {kind}: it "),
}
CODES = {"a module that raises": "1 / 0", "a module that leaves": "raise SystemExit(3)"}


@each
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_entry_is_told_with_its_distribution_and_what_to_do(
    kind: Kind, fault: str, install: Installer
) -> None:
    value, what = BROKEN[fault]
    install(kind.group, {"mine": value}, CODES.get(fault, f"{kind.code}\nOdd = 5\n"))
    with pytest.raises(kind.error) as caught:
        kind.get("mine")
    assert f"{kind.kind} 'mine' of 'theirs 1.5' {what.format(kind=kind.kind)}" in caught.value.what
    assert "uninstall it" in caught.value.advice


@each_chosen
def test_a_broken_entry_leaves_the_others_alone(kind: Kind, install: Installer) -> None:
    install(kind.group, {"mine": "theirs_code:Mine", "gone": "nowhere.at_all:Mine"}, kind.code)
    assert kind.get("mine").name == "mine"
    assert {"gone", "mine"} <= set(kind.names())
    if kind.builtin:
        assert kind.get(kind.builtin).name == kind.builtin


@each_chosen
def test_two_distributions_of_one_name_are_both_named(kind: Kind, install: Installer) -> None:
    install(kind.group, {"mine": "theirs_code:Mine"}, kind.code)
    install(kind.group, {"mine": "others_code:Mine"}, kind.code, name="others")
    with pytest.raises(kind.error, match=f"{kind.kind} 'mine' is in ") as caught:
        kind.get("mine")
    assert {"theirs 1.5", "others 1.5"} <= set(caught.value.what.split("'"))
    assert "all but one" in caught.value.advice


@pytest.mark.parametrize("kind", [kind for kind in CHOSEN if kind.builtin], ids=str)
def test_a_built_in_name_cannot_be_taken_over(kind: Kind, install: Installer) -> None:
    install(kind.group, {kind.builtin: "theirs_code:Mine"}, kind.code)
    with pytest.raises(kind.error, match=r"'theirs 1\.5' has the name of a built-in one"):
        kind.get(kind.builtin)
    assert tuple(kind.names()).count(kind.builtin) == 1


def test_an_operator_that_is_declared_already_is_told_with_its_distribution(install: Installer) -> None:
    install("prunepass.ops", {"mine": "theirs_code:Again"}, OPS)
    with pytest.raises(
        UsageError, match=r"'mine' of 'theirs 1\.5' cannot be added: operator '\w+' is declared"
    ):
        registry()


@each_chosen
def test_an_unknown_name_is_answered_with_the_known_ones(kind: Kind, install: Installer) -> None:
    install(kind.group, {"mine": "theirs_code:Mine"}, kind.code)
    with pytest.raises(UsageError, match=f"there is no {kind.kind} 'nine'") as caught:
        kind.get("nine")
    assert "mine" in caught.value.advice


def test_a_table_is_a_value() -> None:
    table = Table("letter", "prunepass.letters", {"pi": ".no:pi"}, "prunepass.ir")
    assert "pi" in table and "rho" not in table
    assert list(table) == ["pi"]
