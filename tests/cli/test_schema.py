"""The published schemas are those of the code, and an independent validator reads files by them as it does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from prunepass import UsageError
from prunepass.cli._schema import text
from prunepass.cli._settings import Settings, settings, toml
from tests.cli import nets
from tests.cli.tools import run

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
jsonschema = pytest.importorskip("jsonschema")

GOOD = {
    "text": "budget = 'macs=0.5'\nscore = 'dfpc{normalize=mean}'\nalign = 8\n",
    "tables": "keep = ['fc', 'head.*']\ntarget = 'tensorrt-fp16'\n[budget]\nmacs = 0.5\n[score]\nmetric = 'l2'\n",
    "pipeline": "pipeline = ['couple', 'score{metric=l1}']\nout = 'o.onnx'\nplan-out = 'p.json'\n",
    "nothing": "",
    "the rest": "floor = 0.1\nmode = 'uniform'\ncompensate = false\nshape = ['x=1,3,8,8']\nreport = 'r.md'\n",
}
BAD = {
    "unknown key": "buget = 'macs=0.5'\n",
    "wrong type": "align = 'wide'\n",
    "rivals": "align = 8\ntarget = 'tensorrt-fp16'\n",
    "a table where none is": "[keep]\nfc = true\n",
}


def holds(schema: str, value: Any) -> bool:
    form = json.loads(text(schema))
    jsonschema.Draft202012Validator.check_schema(form)
    return bool(jsonschema.Draft202012Validator(form).is_valid(value))


@pytest.mark.parametrize("what", ["config", "plan"])
def test_the_published_schema_is_that_of_the_code(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = SCHEMAS / f"{what}.schema.json"
    made = run(capsys, "schema", what).out
    assert file.read_text("utf-8") == made, f"prunepass schema {what} > docs/schema/{file.name}"


@pytest.mark.parametrize("name", GOOD)
def test_what_the_command_takes_the_schema_takes(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(GOOD[name], encoding="utf-8")
    assert isinstance(settings(str(tmp_path / "c.toml"), {}), Settings)
    assert holds("config", toml().loads(GOOD[name]))


@pytest.mark.parametrize("name", BAD)
def test_what_the_command_refuses_the_schema_refuses(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(BAD[name], encoding="utf-8")
    with pytest.raises(UsageError):
        settings(str(tmp_path / "c.toml"), {})
    assert not holds("config", toml().loads(BAD[name]))


def test_every_option_of_the_schema_is_explained() -> None:
    options = json.loads(text("config"))["properties"]
    assert [name for name, form in options.items() if "description" not in form] == []


def test_a_plan_keeps_its_schema_and_a_bent_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("-o", tmp_path / "o.onnx", "--score", "l2", "--plan-out", tmp_path / "p.json")
    assert run(capsys, "prune", nets.save(tmp_path / "net.onnx"), *args).code == 0
    plan = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert plan["cuts"]
    assert holds("plan", plan)
    for change in ({"format": 3}, {"cuts": []}, {"more": 1}):
        assert not holds("plan", {**plan, **change})


def test_an_unknown_key_is_named_with_its_line_and_its_neighbour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    for line, (key, near) in {1: ("algin", "align"), 3: ("plan_oot", "plan-out")}.items():
        config.write_text("\n" * (line - 1) + f"{key} = 8\n", encoding="utf-8")
        ran = run(capsys, "prune", "net.onnx", "--config", config, "-o", "o.onnx")
        assert ran.code == 2
        shown = re.escape(f"{config}:{line}: error: [usage] there is no option '{key.replace('_', '-')}'")
        assert re.search(f"{shown}.*did you mean '{near}'", ran.err)
    ran = run(capsys, "prune", "net.onnx", "--set", "buget.macs=0.4", "-o", "o.onnx")
    assert (ran.code, "did you mean 'budget'" in ran.err) == (2, True)


def test_a_file_that_is_no_toml_is_refused_at_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text("align = 8\nbudget = macs\n", encoding="utf-8")
    ran = run(capsys, "prune", "net.onnx", "--config", tmp_path / "c.toml", "-o", "o.onnx")
    assert ran.code == 2
    assert f"{tmp_path / 'c.toml'}:2: error: " in ran.err
