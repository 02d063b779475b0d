"""prunepass_prune_model() in real CMake builds, with Ninja and with make."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

import prunepass
import prunepass as pp
from prunepass.passes import Tensors
from tests.builds.tools import call, copied, make_model, make_plan

HERE = Path(prunepass.__file__).parent / "cmake"
GENERATORS = {"Ninja": "ninja", "Unix Makefiles": "make"}
STEPS = ("Applying", "Checking", "Packing", "Pruning")

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")


def configure(folder: Path, *more: str, generator: str = "Unix Makefiles", expect: int = 0) -> str:
    command = ["cmake", "-S", ".", "-B", "out put", "-G", generator, f"-DPrunepass_DIR={HERE}", *more]
    return call(command, folder, expect)


def build(folder: Path, *more: str) -> set[str]:
    said = call(["cmake", "--build", "out put", *more], folder)
    return {step for step in STEPS if f" {step} " in said or f" {step}\n" in said}


def project(folder: Path, text: str) -> Path:
    """A folder with a model, a plan and a CMakeLists.txt of its own."""
    make_plan(make_model(folder / "net.onnx"), folder / "plan.json", 8)
    head = "cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES NONE)\n"
    (folder / "CMakeLists.txt").write_text(head + text, encoding="utf-8")
    return folder


@pytest.fixture(params=GENERATORS)
def generator(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(GENERATORS[name]) is None:
        pytest.skip(f"needs {GENERATORS[name]}")
    return name


def test_a_build_makes_what_changed_and_nothing_else(generator: str, tmp_path: Path) -> None:
    folder = copied("cmake", tmp_path)
    net = make_model(folder / "net.onnx")
    plan = make_plan(net, folder / "plan.json", 8)
    configure(folder, generator=generator)
    everything = {"Applying", "Checking", "Packing"}
    assert build(folder) == everything
    assert build(folder) == set()
    first = (folder / "out put" / "packed.bin").read_bytes()

    time.sleep(0.01)  # file systems count time finer than this
    net.touch()
    assert build(folder) == ({"Applying"} if generator == "Ninja" else everything)
    assert build(folder) == set()

    make_plan(net, plan, 5)
    for _ in range(2):
        said = call(["cmake", "--build", "out put"], folder, expect=None)
        assert "error: [grain] " in said
        assert "keeps 27 of 32 channels" in said
    make_plan(net, plan, 16)
    assert build(folder) == everything
    assert len((folder / "out put" / "packed.bin").read_bytes()) < len(first)


def test_a_search_leaves_a_plan_and_a_report(generator: str, tmp_path: Path) -> None:
    folder = copied("cmake", tmp_path)
    make_plan(make_model(folder / "net.onnx"), folder / "plan.json", 8)
    configure(folder, generator=generator)
    assert build(folder, "--target", "searched") == {"Pruning"}
    assert build(folder, "--target", "searched") == set()
    made = ("searched.onnx", "found.json", "searched.md")
    assert [name for name in made if not (folder / "out put" / name).exists()] == []
    build(folder, "--target", "clean")
    assert [name for name in made if (folder / "out put" / name).exists()] == []


def test_a_changed_configuration_and_weights_of_their_own_make_the_model_anew(tmp_path: Path) -> None:
    import onnx

    folder = project(
        tmp_path,
        "find_package(Prunepass REQUIRED)\nprunepass_prune_model(TARGET m ALL MODEL net.onnx CONFIG c.toml\n"
        "  KEEP head SET floor=0.1 EXTERNAL_DATA OUTPUT small.onnx)\n",
    )
    (folder / "c.toml").write_text("score = 'l2'\nbudget = 'macs=0.5'\n", encoding="utf-8")
    proto = onnx.load(folder / "net.onnx")
    onnx.save(proto, folder / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    configure(folder)
    assert build(folder) == {"Pruning"}
    assert (folder / "out put" / "small.onnx.data").exists()
    for name in ("c.toml", "w.bin"):
        time.sleep(0.01)
        (folder / name).touch()
        assert build(folder) == {"Pruning"}
        assert build(folder) == set()


SEARCH = """find_package(Prunepass REQUIRED)
prunepass_prune_model(TARGET m ALL MODEL net.onnx OUTPUT small.onnx PLAN_OUT "a plan.json" SCORE wanda
  BUDGET macs=0.6 POLICY uniform{by=class} DRIVER once REPAIR none RATIOS conv1=0.75 DATA samples
  EVALUATE judge.py:judged)
get_target_property(tensors m PRUNEPASS_TENSORS)
message(STATUS "tensors: ${tensors}")
"""


def test_what_only_the_user_knows_goes_into_a_search_and_what_changes_in_it_makes_the_model_anew(
    generator: str, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = project(tmp_path, SEARCH)
    (folder / "judge.py").write_text("def judged(model):\n    return 1\n", encoding="utf-8")
    (folder / "samples").mkdir()
    for name in ("a", "b"):
        image.new("RGB", (32, 32), (40 * ord(name) % 255, 9, 9)).save(folder / "samples" / f"{name}.png")
    said = configure(folder, generator=generator)
    tensors = folder / "out put" / "a_plan.safetensors"
    assert f"tensors: {tensors}" in said
    assert build(folder) == {"Pruning"}
    plan = pp.Plan.load(folder / "out put" / "a plan.json")
    assert plan.options["policy"] == "uniform{by=class}" and plan.options["ratios"] == {"conv1": 0.75}
    assert tensors.exists() and not plan.shifts
    assert build(folder) == set()
    for name in ("judge.py", "samples/a.png"):
        time.sleep(0.01)
        (folder / name).touch()
        assert build(folder) == {"Pruning"}
        assert build(folder) == set()
    build(folder, "--target", "clean")
    assert not tensors.exists()


def test_the_tensors_of_a_plan_are_an_input_and_altered_ones_fail_the_build(
    generator: str, tmp_path: Path
) -> None:
    text = "TARGET m ALL MODEL net.onnx PLAN plan.json OUTPUT small.onnx CHECK"
    folder = project(tmp_path, f"find_package(Prunepass REQUIRED)\nprunepass_prune_model({text})\n")
    bias = onnx_bias(folder / "net.onnx")
    plan = msgspec.structs.replace(pp.Plan.load(folder / "plan.json"), tensors=bias)
    plan.save(folder / "plan.json", tensors="plan.safetensors")
    configure(folder, generator=generator)
    assert build(folder) == {"Applying", "Checking"}
    assert build(folder) == set()
    time.sleep(0.01)
    (folder / "plan.safetensors").touch()
    assert "Applying" in build(folder)
    assert build(folder) == set()
    time.sleep(0.01)
    (folder / "plan.safetensors").write_bytes(b"other")
    assert "tensors of the plan were altered" in call(["cmake", "--build", "out put"], folder, expect=None)


def onnx_bias(net: Path) -> Tensors:
    """A whole tensor in place of the first one of one axis."""
    import onnx

    found = next(one for one in onnx.load(net).graph.initializer if len(one.dims) == 1)
    return Tensors({found.name: np.full(tuple(found.dims), 0.25, np.float32)})


@pytest.mark.parametrize(
    ("call_", "said"),
    [
        ("TARGET m MODEL net.onnx", "needs OUTPUT"),
        ("TARGET m MODEL net.onnx OUTPUT o.onnx BUGET macs=1", "does not know BUGET macs=1"),
        ("TARGET m MODEL net.onnx OUTPUT o.onnx PLAN", "misses the value of PLAN"),
        ("TARGET m MODEL net.onnx OUTPUT o.onnx PLAN plan.json ALIGN 8", "ALIGN is for a search"),
        ("TARGET m MODEL net.onnx OUTPUT o.onnx PLAN plan.json DATA d.npz", "DATA is for a search"),
        ("TARGET m MODEL net.onnx OUTPUT o.onnx PLAN plan.json RATIOS a=0.5", "RATIOS is for a search"),
    ],
)
def test_a_wrong_call_stops_the_configuration(call_: str, said: str, tmp_path: Path) -> None:
    project(tmp_path, f"find_package(Prunepass REQUIRED)\nprunepass_prune_model({call_})\n")
    assert said in " ".join(configure(tmp_path, expect=1).split())


@pytest.mark.parametrize("version", ["0.1", "0.1.0", "0.1.0 EXACT", "0.1...<1", "0.0.1...0.1.0"])
def test_versions_that_fit_are_found(version: str, tmp_path: Path) -> None:
    project(
        tmp_path, f"find_package(Prunepass {version} REQUIRED)\nmessage(STATUS v${{Prunepass_VERSION}})\n"
    )
    assert f"v{prunepass.__version__}" in configure(tmp_path)


@pytest.mark.parametrize("version", ["0.2", "1", "0.0.9", "0.1.7", "0.2...1"])
def test_versions_that_do_not_fit_are_refused(version: str, tmp_path: Path) -> None:
    project(tmp_path, f"find_package(Prunepass {version} REQUIRED)\n")
    said = configure(tmp_path, expect=1)
    assert f"version: {prunepass.__version__}" in said


def test_a_command_that_does_not_belong_to_the_files_is_refused(tmp_path: Path) -> None:
    project(tmp_path, "find_package(Prunepass REQUIRED)\n")
    said = " ".join(configure(tmp_path, "-DPrunepass_COMMAND=cmake", expect=1).split())
    assert "'cmake' is 'cmake version" in said
    said = " ".join(configure(tmp_path, "-DPrunepass_COMMAND=/no/such/program", expect=1).split())
    assert "'/no/such/program' does not run" in said


def test_a_gate_that_cannot_be_made_fails_the_build(tmp_path: Path) -> None:
    text = "TARGET m MODEL net.onnx PLAN plan.json OUTPUT o.onnx BACKEND abacus"
    project(tmp_path, f"find_package(Prunepass REQUIRED)\nprunepass_prune_model({text})\n")
    configure(tmp_path)
    assert "abacus" in call(["cmake", "--build", "out put", "--target", "m"], tmp_path, expect=2)
