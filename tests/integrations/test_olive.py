"""The Olive pass, run by Olive itself where it is installed, and by a stand-in everywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

import prunepass as pp
from prunepass._options import OPTIONS
from prunepass.passes import Tensors
from tests.builds.tools import make_model, make_plan


@pytest.fixture
def olive(monkeypatch: pytest.MonkeyPatch) -> Any:
    if find_spec("olive") is None:
        pytest.skip("needs olive-ai")
    monkeypatch.setenv("CI", "1")  # Olive then keeps its telemetry to itself
    return pytest.importorskip("prunepass.integrations.olive")


def run(olive: Any, model: Path, out: Path, config: dict[str, Any]) -> Any:
    from olive.model import ONNXModelHandler
    from olive.passes.olive_pass import create_pass_from_dict

    step = create_pass_from_dict(olive.PrunepassPrune, config, disable_search=True)
    return step.run(ONNXModelHandler(model_path=str(model)), str(out))


@pytest.mark.filterwarnings("ignore")
def test_olive_searches_and_then_applies_the_same_plan(olive: Any, tmp_path: Path) -> None:
    net = make_model(tmp_path / "net.onnx")
    search = {"budget": "macs=0.5", "score": "l2", "align": 8, "plan_out": str(tmp_path / "p.json")}
    first = run(olive, net, tmp_path / "one", search)
    again = run(olive, net, tmp_path / "two", {"plan": str(tmp_path / "p.json")})
    small, same = (Path(handler.model_path) for handler in (first, again))
    assert small.read_bytes() == same.read_bytes()
    assert small.stat().st_size < net.stat().st_size
    onnx.checker.check_model(str(small))
    assert pp.Plan.load(tmp_path / "p.json").cuts


def test_without_olive_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "olive.model", None)
    monkeypatch.delitem(sys.modules, "prunepass.integrations.olive", raising=False)
    with pytest.raises(pp.BackendError, match=r"prunepass\[onnx,olive\]"):
        __import__("prunepass.integrations.olive")


@pytest.mark.filterwarnings("ignore")
def test_a_package_configuration_finds_the_pass(olive: Any) -> None:
    from olive.package_config import OlivePackageConfig

    entry = {"module_path": "prunepass.integrations.olive.PrunepassPrune", "supported_providers": ["*"]}
    package = OlivePackageConfig.model_validate({"passes": {"PrunepassPrune": entry}})
    assert package.import_pass_module("PrunepassPrune").__name__ == olive.PrunepassPrune.__name__


@dataclass
class Parameter:
    """What Olive is told of one parameter."""

    type_: Any
    default_value: Any
    description: str


@dataclass
class Handler:
    """A model as Olive hands it on."""

    model_path: str


@pytest.fixture
def pass_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The class, over a stand-in for as much of Olive as it uses."""
    made = {
        "olive": {},
        "olive.model": {"ONNXModelHandler": Handler},
        "olive.model.utils": {"resolve_onnx_path": lambda folder, name: str(Path(folder) / name)},
        "olive.passes": {"Pass": object},
        "olive.passes.pass_config": {"PassConfigParam": Parameter},
    }
    for name, entries in made.items():
        module = ModuleType(name)
        vars(module).update(entries)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "prunepass.integrations.olive", raising=False)
    yield import_module("prunepass.integrations.olive").PrunepassPrune
    sys.modules.pop("prunepass.integrations.olive", None)


def run_on_stand_in(pass_: Any, net: Path, out: Path, **config: Any) -> Path:
    out.mkdir()
    known = {name: each.default_value for name, each in pass_._default_config(None).items()}
    assert not config.keys() - known.keys()
    asked = SimpleNamespace(**{**known, **config})
    return Path(pass_()._run_for_config(Handler(str(net)), asked, str(out)).model_path)


def test_every_option_that_a_file_can_say_is_a_parameter_of_its_kind(pass_: Any) -> None:
    found = pass_._default_config(None)
    outside = {"out", "shape", "plan_out", "tensors_out", "report", "depfile"}
    assert set(found) == {name for name, one in OPTIONS.items() if one.file} - outside | {"plan", "plan_out"}
    kinds = {
        name: found[name].type_ for name in ("policy", "align", "floor", "keep", "ratios", "allow_slower")
    }
    want = {"policy": str, "align": int, "floor": float, "keep": list[str], "ratios": dict[str, float]}
    assert kinds == {**want, "allow_slower": bool}
    json.dumps({name: one.default_value for name, one in found.items()})


def test_a_search_with_data_a_policy_and_a_driver_leaves_the_plan_that_is_applied(
    pass_: Any, tmp_path: Path
) -> None:
    net = make_model(tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", image=np.random.default_rng(0).random((4, 3, 16, 16), np.float32))
    search = {"budget": "macs=0.6", "score": "wanda", "ratios": {"conv1": 0.75}, "driver": "once"}
    task = {"data": str(tmp_path / "data.npz"), "evaluate": "tests.cli.plain:accuracy"}
    plan_out = tmp_path / "p.json"
    search |= {"policy": "uniform{by=class}", "plan_out": str(plan_out)}
    first = run_on_stand_in(pass_, net, tmp_path / "one", **search, **task)
    plan = pp.Plan.load(plan_out)
    assert plan.options["policy"] == "uniform{by=class}" and plan.options["ratios"] == {"conv1": 0.75}
    again = run_on_stand_in(pass_, net, tmp_path / "two", plan=str(plan_out))
    assert first.read_bytes() == again.read_bytes()


def test_a_plan_with_tensors_is_applied_and_one_that_lost_them_is_refused(pass_: Any, tmp_path: Path) -> None:
    net = make_model(tmp_path / "net.onnx")
    plan = make_plan(net, tmp_path / "p.json", 8)
    tensors = Tensors({"conv2.bias": np.full(32, 0.25, np.float32)})
    msgspec.structs.replace(pp.Plan.load(plan), tensors=tensors).save(plan)
    small = run_on_stand_in(pass_, net, tmp_path / "one", plan=str(plan))
    biases = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(small).graph.initializer}
    np.testing.assert_array_equal(biases["conv2.bias"], np.full(24, 0.25, np.float32))
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(pp.UsageError, match="the tensors of the plan cannot be read"):
        run_on_stand_in(pass_, net, tmp_path / "two", plan=str(plan))
    assert not any((tmp_path / "two").iterdir())


def test_wrong_options_are_told_as_of_a_prune(pass_: Any, tmp_path: Path) -> None:
    net = make_model(tmp_path / "net.onnx")
    wrong = ({"policy": "magic"}, {"data": "none.npz"}, {"evaluate": "none"}, {"driver": "bisect{drop=0.1}"})
    for place, config in enumerate(wrong):
        with pytest.raises(pp.UsageError):
            run_on_stand_in(pass_, net, tmp_path / str(place), **config, score="l2")
        assert not any((tmp_path / str(place)).iterdir())
