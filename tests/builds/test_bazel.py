"""The rules for Bazel: evaluated by a Starlark interpreter everywhere, and built where Bazel is installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import prunepass
from tests.builds.tools import ROOT, call, copied, environment, make_model, make_plan

RULES = Path(prunepass.__file__).parent / "bazel"
OUTSIDE = """

prunepass_model(
    name = "outside",
    out = "less.onnx",
    data = ["w.bin"],
    external_data = True,
    model = "outside.onnx",
    plan = "plan.json",
    tool = ":prunepass",
)
"""


def fake_run(**attributes: Any) -> list[dict[str, Any]]:
    """The actions that the rule registers for ``attributes``, by the implementation as Starlark runs it."""
    starlark = pytest.importorskip("starlark")
    actions: list[dict[str, Any]] = []
    module = starlark.Module()
    module.add_callable("record", lambda **action: actions.append(action))
    module["given"] = {"align": 0, "check": False, "external_data": False, **attributes}
    text = STUBS + (RULES / "prunepass.bzl").read_text("utf-8") + "\n_prunepass_model_impl(context())\n"
    globals_ = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    starlark.eval(module, starlark.parse("prunepass.bzl", text, starlark.Dialect.extended()), globals_)
    return actions


# What Bazel gives a rule, as far as this one asks for it.
STUBS = """
def rule(**options):
    return options["implementation"]

def _any(*words, **options):
    return struct(**options)

attr = struct(
    int = _any, string = _any, bool = _any, label = _any, label_list = _any, output = _any, string_list = _any,
    string_dict = _any)

def depset(items):
    return items

def DefaultInfo(**options):
    return options

def OutputGroupInfo(**options):
    return options

def _file(name, **options):
    return struct(path = name, basename = name) if name else None

def context():
    attrs = {name: given.get(name, []) for name in ["keep", "free", "settings", "shape", "data"]}
    for name in ["budget", "score", "target_engine", "pipeline", "backend", "config", "plan_out", "report",
                 "policy", "driver", "repair", "evaluate", "tune", "loss", "samples", "tensors_out"]:
        attrs[name] = given.get(name, "")
    attrs["ratios"] = given.get("ratios", {})
    for name in ["align", "check", "external_data"]:
        attrs[name] = given[name]
    files = {name: _file(given.get(name)) for name in ["model", "plan", "config", "samples", "tensors"]}
    outputs = ["out", "plan_out", "tensors_out", "report"]
    return struct(
        attr = struct(**attrs),
        file = struct(**files),
        files = struct(data = [_file(name) for name in given.get("data", [])]),
        outputs = struct(**{name: _file(given.get(name)) for name in outputs}),
        executable = struct(tool = "prunepass"),
        label = "//:model",
        runfiles = _any,
        actions = struct(
            run = lambda **action: record(
                arguments = action["arguments"],
                mnemonic = action["mnemonic"],
                inputs = [file.path for file in action["inputs"]],
                outputs = [file.path for file in action["outputs"]],
            ),
            declare_file = _file,
        ),
        expand_location = lambda text, targets: text.replace("$(location judge.py)", "pkg/judge.py"),
    )
"""


def test_a_plan_is_applied_and_checked() -> None:
    pytest.importorskip("starlark")
    model, gate = fake_run(model="net.onnx", plan="p.json", out="o.onnx", check=True, shape=["x=1,3,8,8"])
    shape = ["--shape", "x=1,3,8,8", "-q"]
    assert model["arguments"] == ["apply", "p.json", "net.onnx", "-o", "o.onnx", *shape]
    want = ["check", "o.onnx", "--against", "net.onnx", "--plan", "p.json", "--sarif", "o.onnx.sarif", *shape]
    assert (gate["mnemonic"], gate["arguments"]) == ("PrunepassCheck", want)


def test_a_search_passes_every_option_on() -> None:
    options = {"budget": "macs=0.5", "align": 8, "keep": ["fc"], "settings": ["floor=0.1"], "report": "r.md"}
    (action,) = fake_run(model="net.onnx", out="o.onnx", plan_out="p.json", config="c.toml", **options)
    text = " ".join(action["arguments"])
    want = "prune net.onnx --plan-out p.json --tensors-out p.safetensors"
    want += " --budget macs=0.5 --align 8 --keep fc --set floor=0.1"
    assert text == f"{want} --config c.toml --report r.md -o o.onnx -q"


def test_what_only_the_user_knows_is_passed_on_and_declared() -> None:
    options = {"policy": "uniform{by=class}", "driver": "once", "repair": "none", "free": ["y"]}
    task = {"samples": "d.npz", "evaluate": "$(location judge.py):judged", "data": ["pkg/judge.py"]}
    task |= {"tune": "$(location judge.py):trained", "loss": "pkg.losses:cross"}
    (action,) = fake_run(model="net.onnx", out="o.onnx", ratios={"conv1": "0.75"}, **options, **task)
    want = "--policy uniform{by=class} --driver once --repair none --free y --ratio conv1=0.75 --data d.npz"
    assert (
        f"{want} --evaluate pkg/judge.py:judged --tune pkg/judge.py:trained --loss pkg.losses:cross -o"
        in " ".join(action["arguments"])
    )
    assert action["inputs"] == ["net.onnx", "pkg/judge.py", "d.npz"]


def test_the_tensors_of_a_plan_are_declared_wherever_they_are_made_or_read() -> None:
    model, gate = fake_run(model="net.onnx", out="a b/o.onnx", check=True)
    plan = ["a b/o.onnx.plan.json", "a_b_o_onnx_plan.safetensors"]  # the stub's base names are whole paths
    assert model["outputs"] == ["a b/o.onnx", *plan]
    assert gate["inputs"] == ["net.onnx", "a b/o.onnx", *plan]
    (action,) = fake_run(model="net.onnx", out="o.onnx", plan_out="p.json", tensors_out="t.safetensors")
    assert action["outputs"] == ["o.onnx", "p.json", "t.safetensors"]
    given = {"plan": "p.json", "tensors": "t.safetensors"}
    model, gate = fake_run(model="net.onnx", out="o.onnx", check=True, **given)
    assert model["inputs"] == ["net.onnx", "p.json", "t.safetensors"]
    assert gate["inputs"] == ["net.onnx", "o.onnx", "p.json", "t.safetensors"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plan": "p.json", "policy": "uniform"}, "policy is for a search"),
        ({"plan": "p.json", "samples": "d.npz"}, "samples is for a search"),
        ({"plan": "p.json", "ratios": {"a": "0.5"}}, "ratios is for a search"),
        ({"plan": "p.json", "tensors_out": "t.safetensors"}, "tensors_out is for a search"),
        ({"tensors": "t.safetensors"}, "those of a plan"),
        ({"plan": "p.json", "budget": "macs=0.5"}, "budget is for a search"),
        ({"plan": "p.json", "align": 8}, "align is for a search"),
        ({"align": 8, "target_engine": "tensorrt-fp16"}, "exclude each other"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    starlark = pytest.importorskip("starlark")
    with pytest.raises(starlark.StarlarkError, match=said):
        fake_run(model="net.onnx", out="o.onnx", **options)


@pytest.fixture
def bazel(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """The example with its files in place, and a way to build it with a Bazel server of its own."""
    if shutil.which("bazel") is None:
        pytest.skip("needs bazel")
    folder = copied("bazel", tmp_path, "no-spaces")
    shutil.copytree(RULES, folder / "third_party" / "prunepass")
    tool = tmp_path / "pruner"
    tool.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m prunepass \"$@\"\n")
    tool.chmod(0o755)
    start = ["bazel", f"--output_user_root={tmp_path / 'root'}", "--max_idle_secs=60"]

    def build(*targets: str, expect: int = 0) -> str:
        command = [*start, "build", "--color=no", "--curses=no", f"--define=prunepass={tool}", *targets]
        return call(command, folder, expect, environment(HOME=str(tmp_path)))

    yield SimpleNamespace(folder=folder, build=build)
    call([*start, "shutdown"], folder, None)
    for path, folders, _ in os.walk(tmp_path / "root"):  # Bazel takes the right to write away
        for name in folders:
            (Path(path) / name).chmod(0o755)


def test_bazel_builds_the_example_and_fails_with_its_gate(bazel: SimpleNamespace) -> None:
    import onnx

    folder = bazel.folder
    net = make_model(folder / "net.onnx")
    onnx.save(
        onnx.load(net),
        folder / "outside.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    plan = make_plan(net, folder / "plan.json", 8)
    with (folder / "BUILD.bazel").open("a", encoding="utf-8") as file:
        file.write(OUTSIDE)
    bazel.build("//:model", "//:searched", "//:outside", "--subcommands")
    made = {path.name for path in (folder / "bazel-bin").iterdir()}
    names = {"small.onnx", "small.onnx.sarif", "searched.onnx", "found.json", "searched.md", "less.onnx"}
    assert names | {"less.onnx.data", "found.safetensors"} <= made
    assert "Prunepass" not in bazel.build("//:model", "--subcommands")
    make_plan(net, plan, 5)
    assert "error: [grain] " in bazel.build("//:model", expect=1)
