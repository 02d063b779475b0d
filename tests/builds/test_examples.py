"""What the README of every example tells to run runs, and the workflow is one."""

from __future__ import annotations

import json
import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from tests.builds.tools import EXAMPLES, call, copied, environment

NEEDS = {"make": ["make"], "github-actions": [], "python-build": [], "torch-compile": ["g++"]}


def commands(example: str) -> str:
    (block,) = re.findall(
        r"```sh\n(.*?)```", (EXAMPLES / example / "README.md").read_text("utf-8"), re.DOTALL
    )
    return str(block)


def test_every_example_has_a_page_with_commands() -> None:
    for folder in EXAMPLES.iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert commands(folder.name)


@pytest.mark.parametrize("example", NEEDS)
def test_the_commands_of_an_example_run(example: str, tmp_path: Path) -> None:
    for program in NEEDS[example]:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    if example == "torch-compile":
        pytest.importorskip("torch")
    folder = copied(example, tmp_path)
    said = call(["sh", "-e", "-c", commands(example)], folder, env=environment(OMP_NUM_THREADS="1"))
    made = {"make": "small.onnx.d", "github-actions": "prunepass.sarif", "python-build": "small.onnx"}
    assert (folder / made[example]).exists() if example in made else "equal" in said
    if example == "make":
        assert "'small.onnx' is up to date" in said


def test_the_workflow_is_one_and_runs_what_its_page_says() -> None:
    yaml = pytest.importorskip("yaml")
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("check_jsonschema")
    workflow = yaml.safe_load((EXAMPLES / "github-actions" / "prune-check.yml").read_text("utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML 1.1 takes the word for a truth value
    file = resources.files("check_jsonschema.builtin_schemas") / "vendor" / "github-workflows.json"
    schema = json.loads(file.read_text("utf-8"))
    assert [
        str(error) for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(workflow)
    ] == []
    runs = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert all(run in commands("github-actions") for run in runs if run.startswith("prunepass"))
