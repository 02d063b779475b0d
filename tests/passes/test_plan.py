"""The plan as a file: written, read again, and refused where it does not belong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from prunepass.ir import Array, Graph, Tie, UsageError
from prunepass.passes import (
    Cut,
    Plan,
    Tensors,
    couple,
    cut,
    files_of,
    fingerprint,
    plan_for,
    prove,
    with_constraints,
    write_text,
)
from tests.graphs import chain, residual


def example() -> Plan:
    graph = with_constraints(
        residual(),
        (("one.a.weight", 0, "kept by 'one.a'"),),
        (Tie(("stem.bias", 0), ("two.b.bias", 0), "one width"),),
    )
    removed = {"two.a": np.array([3, 1]), "stem": np.array([7])}
    plan = plan_for(couple(graph), removed, budget="macs=0.5", align=1)
    return Plan(
        **{
            **{name: getattr(plan, name) for name in plan.__struct_fields__},
            "shifts": {"stem.bias": (0.5,) * 8},
        }
    )


def test_a_plan_is_the_same_after_writing_and_reading_it(tmp_path: Path) -> None:
    plan = example()
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan


def test_a_plan_names_groups_indices_and_how_it_was_made(tmp_path: Path) -> None:
    text = example().to_json()
    found = json.loads(text)
    assert found["cuts"] == {"stem": {"remove": [7], "size": 8}, "two.a": {"remove": [1, 3], "size": 16}}
    assert found["options"] == {"align": 1, "budget": "macs=0.5"}
    assert found["pins"] == [["one.a.weight", 0, "kept by 'one.a'"]]
    assert found["ties"] == [["stem.bias", 0, "two.b.bias", 0, "one width"]]
    assert text == json.dumps(found, indent=1, sort_keys=True) + "\n"


def test_groups_without_a_cut_are_left_out() -> None:
    plan = plan_for(couple(chain()), {"a": np.array([], dtype=np.int64)})
    assert not plan.cuts


def test_kept_indices_are_what_is_not_removed() -> None:
    coupling = couple(chain(8))
    plan = plan_for(coupling, {"a": np.array([6, 0])})
    (kept,) = plan.kept(coupling).values()
    np.testing.assert_array_equal(kept, [1, 2, 3, 4, 5, 7])


def test_a_plan_is_refused_for_a_model_with_other_params() -> None:
    plan = plan_for(couple(chain(8)), {"a": np.array([0])})
    plan.check(chain(8))
    with pytest.raises(UsageError, match="made for another model"):
        plan.check(chain(9))


def test_the_fingerprint_is_of_names_shapes_types_and_operators_alone() -> None:
    graph = chain(8)
    assert fingerprint(graph) == fingerprint(chain(8, batch=3, size=9))
    weight = graph.params["a.weight"]
    for other in (
        {"params": {**graph.params, "a.weight": replace(weight, dtype="float16")}},
        {"params": {**graph.params, "a.weight": replace(weight, name="c.weight")}},
        {"nodes": tuple(replace(node, op="tanh") if node.op == "relu" else node for node in graph.nodes)},
    ):
        assert fingerprint(replace(graph, **other)) != fingerprint(graph)
    other_data = replace(weight, source=lambda: np.zeros(weight.shape, np.float32))
    assert fingerprint(replace(graph, params={**graph.params, "a.weight": other_data})) == fingerprint(graph)


@pytest.mark.parametrize("remove", [tuple(range(8)), (8,), (-1,), (1, 1)])
def test_a_plan_must_leave_a_channel_and_name_those_that_are_there(remove: tuple[int, ...]) -> None:
    plan = Plan(fingerprint="", cuts={"a": Cut(8, remove)})
    with pytest.raises(UsageError, match=f"removes {len(remove)} of the 8 channels of group 'a'"):
        plan.kept(couple(chain(8)))


@pytest.mark.parametrize("shifts", [{"c.bias": (1.0,)}, {"a.bias": (1.0, 2.0)}])
def test_a_plan_must_shift_params_that_are_there(shifts: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(UsageError, match="which does not exist with this size"):
        Plan(fingerprint="", cuts={}, shifts=shifts).shifted(chain(8))


def test_a_plan_brings_its_own_pins_and_ties_along() -> None:
    plan = example()
    fresh = residual()
    graph = plan.constrain(fresh)
    assert not couple(graph).group("one.a").prunable
    assert plan.constrain(graph) is graph
    assert couple(fresh).group("one.a").prunable


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a plan"),
        ("[]", "not a plan"),
        ('{"cuts": {}}', "not a plan"),
        ('{"fingerprint": "0", "cuts": {}, "more": 1}', "not a plan"),
        ('{"fingerprint": "0", "cuts": {"a": {"size": 2, "remove": "all"}}}', "not a plan"),
        ('{"fingerprint": "0", "cuts": {}, "format": 99}', "format 99, this version reads 1 and 2"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        Plan.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.json: cannot read the plan"):
        Plan.load(tmp_path / "no.json")


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.json"
    write_text(path, "old")

    def fail(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]


def test_a_folder_that_is_not_there_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / "no" / "plan.json", "text")


def tensors_of(graph: Graph, *names: str) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal(graph.params[name].shape).astype(np.float32) for name in names}


def with_tensors(**fields: Any) -> Plan:
    given = tensors_of(residual(), "one.a.weight", "stem.bias")
    return msgspec.structs.replace(example(), tensors=Tensors(given), **fields)


def test_a_plan_that_needs_nothing_new_is_written_in_the_first_format() -> None:
    found = json.loads(example().to_json())
    assert found["format"] == 1 and not {"tensors", "free"} & found.keys()
    assert json.loads(with_tensors().to_json())["format"] == 2


def test_tensors_come_back_bit_for_bit_from_the_file_beside_the_plan(tmp_path: Path) -> None:
    plan = with_tensors()
    plan.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again == plan and again != example()
    for name, tensor in plan.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)
        assert again.tensors[name].dtype == tensor.dtype
    stored = json.loads((tmp_path / "plan.json").read_text("utf-8"))["tensors"]
    content = (tmp_path / stored["file"]).read_bytes()
    assert stored["hash"] == hashlib.sha256(content).hexdigest() and stored["hash"][:16] in stored["file"]
    assert stored["names"] == ["one.a.weight", "stem.bias"]
    assert files_of(tmp_path / "plan.json", plan) == (tmp_path / "plan.json", tmp_path / stored["file"])


def test_the_same_tensors_are_the_same_bytes_wherever_they_are_written(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with_tensors().save(tmp_path / folder / "plan.json")
    written = [{file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()} for folder in "ab"]
    assert len(written[0]) == 2 and written[0] == written[1]


@pytest.mark.parametrize("fault", ["missing", "altered", "swapped", "elsewhere"])
def test_a_tensors_file_that_is_not_what_was_written_is_one_error(tmp_path: Path, fault: str) -> None:
    with_tensors().save(tmp_path / "plan.json")
    (file,) = tmp_path.glob("*.safetensors")
    text = (tmp_path / "plan.json").read_text("utf-8")
    if fault == "missing":
        file.unlink()
    elif fault == "altered":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif fault == "swapped":
        (tmp_path / "plan.json").write_text(text.replace('"stem.bias"\n  ]', '"two.bias"\n  ]'), "utf-8")
    else:
        (tmp_path / "plan.json").write_text(text.replace(file.name, f"../{file.name}"), "utf-8")
    with pytest.raises(UsageError, match=r"cannot be read|were altered|not a plan") as error:
        Plan.load(tmp_path / "plan.json")
    assert error.value.advice and error.value.where


@pytest.mark.parametrize("failing", [1, 2])
def test_an_interrupted_write_leaves_no_part_of_a_plan_with_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    example().save(tmp_path / "plan.json")
    before = (tmp_path / "plan.json").read_bytes()
    real, calls = Path.replace, list[Path]()

    def fail(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        with_tensors().save(tmp_path / "plan.json")
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]
    assert (tmp_path / "plan.json").read_bytes() == before


def test_tensors_are_put_in_before_amounts_are_added_and_anything_is_cut() -> None:
    graph, plan = residual(), with_tensors()
    changed = plan.shifted(graph)
    np.testing.assert_array_equal(changed["stem.bias"], plan.tensors["stem.bias"] + np.float32(0.5))
    np.testing.assert_array_equal(changed["one.a.weight"], plan.tensors["one.a.weight"])
    graph = plan.constrain(graph)
    small = cut(graph, plan)
    np.testing.assert_array_equal(small.params["stem.bias"].read(), changed["stem.bias"][:7])
    prove(graph, small, plan)


def test_a_tensor_must_have_the_shape_of_its_param() -> None:
    for name, shape in (("c.bias", (8,)), ("a.bias", (9,)), ("a.weight", (8, 27))):
        plan = Plan(fingerprint="", cuts={}, tensors=Tensors({name: np.zeros(shape)}))
        with pytest.raises(UsageError, match="does not exist with this shape"):
            plan.shifted(chain(8))
