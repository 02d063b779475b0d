"""The Olive pass, run by Olive itself where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest

import prunepass as pp
from tests.builds.tools import make_model


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
    import sys

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
