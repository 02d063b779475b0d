"""Several processes: what they inherit, and what becomes of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from prunepass.sweeps import Candidate, Row
from prunepass.sweeps._crew import LocalCrew, _shared_cores
from prunepass.sweeps._row import Job, Setup
from tests.cli import nets


def jobs(folder: Path, count: int) -> Sequence[Job]:
    net = Path(nets.save(folder / "net.onnx"))
    setup = Setup(backend="onnxruntime", version="1")
    return [Job(net, folder, Candidate(f"macs={0.5 + at / 10:g}", "l2"), setup) for at in range(count)]


def rows(folder: Path) -> Iterator[Row]:
    return LocalCrew(workers=2).prune(jobs(folder, 3))


def test_cores_are_shared_and_a_setting_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    with _shared_cores(3):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("7", "2")
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_an_interruption_waits_until_every_process_knows_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, started = set(multiprocessing.active_children()), []
    submit = ProcessPoolExecutor.submit

    def interrupted(self: Any, *work: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        started.append(work)
        return submit(self, *work)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(rows(tmp_path))
    assert len(started) == 3
    assert set(multiprocessing.active_children()) == before


def test_an_interruption_ends_the_processes_and_leaves_whole_folders(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    working = rows(tmp_path)
    done = next(working)
    assert set(multiprocessing.active_children()) - before
    with pytest.raises(KeyboardInterrupt):
        working.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert set(multiprocessing.active_children()) == before
    assert (tmp_path / done.candidate.key / "model.onnx").is_file()
    for place in tmp_path.glob("macs-*"):
        assert {file.name for file in place.iterdir()} == {"model.onnx", "plan.json", "report.json"}
