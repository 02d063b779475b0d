"""Sweeping: what is kept, what is remembered, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import pytest

import prunepass as pp
from prunepass.sweeps import Candidate, Row, page_of_sweep, sweep
from prunepass.sweeps._crew import LocalCrew
from prunepass.sweeps._row import Job
from tests.cli import nets
from tests.cli.tools import files

pytest.importorskip("onnxruntime")
QUICK = {"budgets": (0.6, 0.0001), "scores": ("l2",), "duration": 0.0}
GOOD, BAD = "macs-0.6-l2-1", "macs-0.0001-l2-1"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return Path(nets.save(tmp_path / "net.onnx"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is pruned and measured from here on."""
    seen: list[str] = []

    class Watched(LocalCrew):
        def prune(self, jobs: Sequence[Job]) -> Iterator[Row]:
            seen.extend(f"prune {job.candidate.key}" for job in jobs)
            return super().prune(jobs)

        def measure(self, jobs: Sequence[tuple[Job, Row]]) -> Iterator[Row]:
            seen.extend(f"measure {job.candidate.key}" for job, _ in jobs)
            return super().measure(jobs)

    monkeypatch.setattr("prunepass.sweeps._sweep.LocalCrew", Watched)
    return seen


def test_a_candidate_is_kept_proven_and_measured_and_a_failed_one_is_a_row(net: Path, tmp_path: Path) -> None:
    found = pp.sweep(net, tmp_path / "out", **QUICK)
    good, bad = found.rows
    assert files(tmp_path / "out") == {
        ".lock",
        "sweep.json",
        GOOD,
        *(f"{GOOD}/{n}" for n in ("model.onnx", "plan.json", "report.json")),
    }
    assert good.kept["macs"] <= 0.6
    assert good.proof is not None and good.proof.worst <= good.proof.tolerance
    assert good.timing is not None and good.timing.engines[0].name == "original"
    assert good.change is not None and good.change > 0
    assert (bad.rule, "cannot be met" in bad.reason) == ("budget", True)
    assert found.done == (good,)


def test_a_model_of_free_sizes_is_measured_at_those_that_it_was_captured_with(tmp_path: Path) -> None:
    net = Path(nets.save(tmp_path / "net.onnx", nets.resizable()))
    (row,) = pp.sweep(net, tmp_path / "out", budgets=(0.6,), scores=("l2",), duration=0.0).rows
    assert row.timing is not None, row.reason


def test_the_plan_that_is_kept_makes_the_model_that_is_kept(net: Path, tmp_path: Path) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    place = tmp_path / "out" / GOOD
    again = pp.apply(pp.Plan.load(place / "plan.json"), net)
    pp.verify(net, place / "model.onnx", pp.Plan.load(place / "plan.json"))
    kept = onnx.load(place / "model.onnx")
    assert {i.name: list(i.dims) for i in kept.graph.initializer} == {
        name: list(value.shape) for name, value in again.graph.initializers.items()
    }


def test_what_is_done_is_not_done_again(net: Path, tmp_path: Path, made: list[str]) -> None:
    first = sweep(net, tmp_path / "out", **QUICK)
    assert made == [f"prune {GOOD}", f"prune {BAD}", f"measure {GOOD}"]
    made.clear()
    assert sweep(net, tmp_path / "out", **QUICK).to_json() == first.to_json()
    assert made == []


def test_a_sweep_that_asks_for_more_adds_to_the_folder(net: Path, tmp_path: Path, made: list[str]) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    made.clear()
    more = sweep(net, tmp_path / "out", **{**QUICK, "budgets": (0.8, 0.6)})
    assert made == ["prune macs-0.8-l2-1", "measure macs-0.8-l2-1"]
    assert [row.candidate.budget for row in more.rows] == ["macs=0.8", "macs=0.6"]


def test_a_candidate_whose_files_are_gone_is_made_again(net: Path, tmp_path: Path, made: list[str]) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    made.clear()
    (tmp_path / "out" / GOOD / "model.onnx").unlink()
    sweep(net, tmp_path / "out", **QUICK)
    assert made == [f"prune {GOOD}", f"measure {GOOD}"]


def test_an_interrupted_sweep_goes_on_where_it_was(
    net: Path, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(job: Job, row: Row) -> Row:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("prunepass.sweeps._crew.timed", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sweep(net, tmp_path / "out", **QUICK)
    assert (tmp_path / "out" / GOOD / "model.onnx").is_file()
    (tmp_path / "out" / ".partial-left").mkdir()
    made.clear()
    assert sweep(net, tmp_path / "out", **QUICK).rows[0].timing is not None
    assert made == [f"measure {GOOD}"], "what was pruned is only measured, what cannot be is not tried again"
    assert not (tmp_path / "out" / ".partial-left").exists()


def test_a_fault_in_one_candidate_is_a_row_and_is_tried_again(
    net: Path, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("odd")

    with monkeypatch.context() as patch:
        patch.setattr("prunepass.sweeps._make.prune", fail)
        row = sweep(net, tmp_path / "out", **QUICK).rows[0]
    assert (row.rule, row.reason) == ("internal", "ZeroDivisionError: odd")
    made.clear()
    assert not sweep(net, tmp_path / "out", **QUICK).rows[0].failed
    assert f"prune {GOOD}" in made


def test_another_model_in_the_same_folder_is_refused_even_if_only_weights_differ(
    net: Path, tmp_path: Path
) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    proto = nets.classifier()
    weight = onnx.numpy_helper.to_array(proto.graph.initializer[0]) * 2
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "w0"))
    other = nets.save(tmp_path / "other.onnx", proto)
    with pytest.raises(pp.UsageError, match="another model"):
        sweep(other, tmp_path / "out", **QUICK)


def test_figures_that_cannot_be_compared_are_not_mixed(net: Path, tmp_path: Path) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    with pytest.raises(pp.UsageError, match=r"threads 1 \(now 2\)"):
        sweep(net, tmp_path / "out", **QUICK, threads=2)


def test_a_damaged_journal_is_refused_and_left_alone(net: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.json").write_text("{", encoding="utf-8")
    with pytest.raises(pp.UsageError, match="cannot be read"):
        sweep(net, tmp_path / "out", **QUICK)
    assert (tmp_path / "out" / "sweep.json").read_text("utf-8") == "{"


def test_the_journal_of_another_version_is_refused(net: Path, tmp_path: Path) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    journal = tmp_path / "out" / "sweep.json"
    journal.write_text(journal.read_text("utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(pp.UsageError, match="format 2"):
        sweep(net, tmp_path / "out", **QUICK)


def test_several_processes_give_what_one_gives(net: Path, tmp_path: Path) -> None:
    options = {**QUICK, "budgets": (0.8, 0.6, 0.0001)}
    one = sweep(net, tmp_path / "one", **options)
    two = sweep(net, tmp_path / "two", **options, workers=2)
    for a, b in zip(one.rows, two.rows, strict=True):
        assert (a.candidate, a.kept, a.widths, a.reason) == (b.candidate, b.kept, b.widths, b.reason)
    for name in ("model.onnx", "plan.json", "report.json"):
        assert (tmp_path / "one" / GOOD / name).read_bytes() == (tmp_path / "two" / GOOD / name).read_bytes()


def test_the_journal_holds_nothing_of_the_machine(net: Path, tmp_path: Path) -> None:
    sweep(net, tmp_path / "out", **QUICK)
    text = (tmp_path / "out" / "sweep.json").read_text("utf-8")
    assert str(tmp_path) not in text
    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(json.loads(text))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('x')", "its last line is 'x'"),
        ("raise SystemExit('no data')", "no data"),
        ("pass", "no number"),
        ("print(float('nan'))", "its last line is 'nan'"),
        ("print('-inf')", "its last line is '-inf'"),
        ("import os; os.write(1, bytes([255]))", r"its last line is '\\xff'"),
        ("print(1); raise SystemExit(3)", "failed with exit code 3"),
    ],
)
def test_an_accuracy_command_that_gives_no_number_for_the_original_is_refused(
    net: Path, tmp_path: Path, code: str, said: str
) -> None:
    with pytest.raises(pp.UsageError, match=said):
        sweep(net, tmp_path / "out", **QUICK, accuracy=f'{sys.executable} -c "{code}" {{model}}')
    assert not (tmp_path / "out").exists()


def test_an_accuracy_command_without_a_place_for_the_model_is_refused(net: Path, tmp_path: Path) -> None:
    with pytest.raises(pp.UsageError, match="no place for the model"):
        sweep(net, tmp_path / "out", **QUICK, accuracy="true")


def test_accuracy_is_the_quality_where_a_command_tells_it(net: Path, tmp_path: Path) -> None:
    code = "import os, sys; print('size is'); print(os.path.getsize(sys.argv[1]))"
    found = sweep(net, tmp_path / "out", **QUICK, accuracy=f'{sys.executable} -c "{code}" {{model}}')
    assert found.accuracy == net.stat().st_size
    assert found.rows[0].accuracy == (tmp_path / "out" / GOOD / "model.onnx").stat().st_size
    quality = page_of_sweep(found).quality
    assert quality is not None and (quality.name, quality.rising) == ("accuracy", True)


def test_without_data_the_page_says_that_quality_is_no_accuracy(net: Path, tmp_path: Path) -> None:
    page = page_of_sweep(sweep(net, tmp_path / "out", **QUICK), beside="../out")
    assert page.quality is not None and "It is no accuracy" in page.quality.meaning
    assert page.trials[0].files == (f"../out/{GOOD}/model.onnx", f"../out/{GOOD}/plan.json")
    assert page.trials[1].files == ()


def test_a_row_survives_the_journal() -> None:
    import msgspec

    row = Row(candidate=Candidate("macs=0.5", "l1"), change=float("inf"))
    again = msgspec.json.decode(msgspec.json.encode(row), type=Row)
    assert again.change is None, "no number of JSON: unknown rather than a fault"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("none.onnx", {}, "no such file"),
        ("net.pt2", {}, "ONNX"),
        ("net.onnx", {"workers": 0}, "workers"),
        ("net.onnx", {"backend": "abacus"}, "abacus"),
        ("net.onnx", {"duration": float("inf")}, "duration is inf"),
        ("net.onnx", {"budgets": 0.5}, "budgets is a list"),
        ("net.onnx", {"scores": "l2"}, "scores is a list"),
        ("net.onnx", {"threads": "x"}, "threads is a whole number"),
        ("net.onnx", {"keep": "conv0"}, "keep is a list"),
        ("net.onnx", {"duration": float("nan")}, "duration is nan"),
        ("net.onnx", {"keep": ("nowhere",)}, "nowhere"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    net: Path, tmp_path: Path, name: str, options: dict[str, object], said: str
) -> None:
    (tmp_path / "net.pt2").write_bytes(b"x")
    with pytest.raises(pp.UsageError, match=said):
        sweep(tmp_path / name, tmp_path / "out", **{**QUICK, **options})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
