"""The comparison of engines: candidates of the same work, and rows also where one of them fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.compare import _candidates, engines
from bench.compare._ahead import explained
from bench.compare._kept import Kept
from bench.compare._nets import bench_network, size_of
from bench.compare._profile import work_and_rest
from tests.cli import nets


def test_the_gentlest_cut_within_the_budget_is_found() -> None:
    ratio, share = _candidates.gentlest(lambda ratio: (ratio, (1 - ratio) ** 2), 0.5)
    assert share <= 0.5 < (1 - ratio + 0.02) ** 2
    with pytest.raises(ValueError, match=r"no ratio leaves 0\.5"):
        _candidates.gentlest(lambda ratio: (ratio, 0.6), 0.5)


@pytest.mark.parametrize(("name", "shape"), [("yolo", (1, 144, 2100)), ("unet", (1, 2, 128, 128))])
def test_networks_of_its_own_have_the_outputs_of_their_kind(name: str, shape: tuple[int, ...]) -> None:
    model = bench_network(name)
    assert not model.training
    with torch.no_grad():
        assert model(torch.zeros(1, 3, size_of(name), size_of(name))).shape == shape


def test_a_plan_for_one_batch_is_applied_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_candidates, "BATCHES", (1, 2))
    for batch in (1, 2):
        nets.save(_candidates.file_of(tmp_path, "original", batch), nets.classifier())
    found = _candidates.ours("any", str(tmp_path), "ours", {"budget": "macs=0.6", "align": 4})
    assert 0 < found["macs"] <= 0.6
    first, second = (_candidates.file_of(tmp_path, "ours", batch).read_bytes() for batch in (1, 2))
    assert first == second != nets.classifier().SerializeToString()


def test_a_row_has_no_figure_for_what_failed_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_DURATION", 0.05)
    for label in ("original", "ours"):
        nets.save(_candidates.file_of(tmp_path, label, 1), nets.classifier())
    found: dict[str, dict[str, Any]] = {"ours": {"macs": 0.5}, "TP": {"failed": "more than 240 s"}}
    files = {"ours": "ours", "TP": "TP"}
    row = engines._Network("net", tmp_path, quick=True).timed(engines._PLAIN[0], "macs=0.5", files, found)
    assert row["TP"] is None and row["notes"] == "TP: more than 240 s"
    assert row["realised"] == pytest.approx(row["ours"] * 0.5, rel=0.01)
    assert row["work"] > 0 and 0 <= row["rest of"] < 1


def test_a_network_that_cannot_be_written_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "isolated", lambda work, **arguments: {"failed": "no such network"})
    (row,) = engines._Network("nothing", tmp_path, quick=True).rows()
    assert row["network"] == "nothing" and "no such network" in row["notes"]
    assert row["ours"] is None


def test_time_in_layers_of_counted_work_is_told_from_the_rest(tmp_path: Path) -> None:
    nets.save(tmp_path / "net.onnx", nets.classifier())
    found = work_and_rest(str(tmp_path / "net.onnx"))
    assert set(found) == {"work", "rest"} and found["work"] > 0


def test_a_comparison_that_was_stopped_makes_only_what_is_missing(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str) -> dict[str, Any]:
        made.append(name)
        return {"name": name}

    for _ in range(2):
        kept = Kept(tmp_path / "work")
        assert kept("a", lambda: make("a")) == {"name": "a"}
    assert made == ["a"]
    with pytest.raises(ZeroDivisionError):
        kept("b", lambda: {"share": 1 / 0})
    assert kept("b", lambda: make("b")) == {"name": "b"}


def test_results_of_another_setting_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kept(tmp_path)
    monkeypatch.setattr("bench.compare._kept.setting", lambda: {"vector": "another"})
    with pytest.raises(SystemExit, match="another setting"):
        Kept(tmp_path)


def test_a_peer_that_is_ahead_is_noted_with_the_reason() -> None:
    row = {
        "MACs kept": 0.5,
        "ours": 1.6,
        "uniform": 1.8,
        "TP": 1.81,
        "TP/8": 2.2,
        "onnxsim": 1.9,
        "notes": "slow",
    }
    found = {"TP": {"macs": 0.5}, "TP8": {"macs": 0.383}, "onnxsim": {"macs": 0.49}}
    assert explained(row, found)["notes"].split("; ") == [
        "slow",
        "TP is ahead, and uniform level with it",
        "TP/8 is ahead, keeping 0.383 of the work",
        "onnxsim is ahead by 6 %",
    ]
    assert explained({**row, "ours": 2.3, "TP": None}, found)["notes"] == "slow"
