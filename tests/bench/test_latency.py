"""Rows of the latency comparison have one form, met or not."""

from __future__ import annotations

from pathlib import Path

import pytest

import prunepass as pp
from bench.compare import latency
from tests.cli import nets
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    backend = ClockworkBackend(lambda graph: staircase(graph, step=4, overhead=1))
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)
    monkeypatch.setattr("prunepass.measure._clock.ready", lambda name: backend)
    monkeypatch.setattr(latency, "compare", lambda models, name, **timing: clockwork.compare(models, backend))
    return Path(nets.save(tmp_path / "net.onnx"))


def test_a_budget_that_is_met_tells_what_was_measured_and_again(net: Path) -> None:
    row = latency._row("net", net, 0.6, None)
    assert row["measured"] == row["again"] <= 0.6
    assert row["rounds"] >= 1 and row["note"] == ""


def test_a_budget_that_is_not_met_has_the_same_columns_and_says_why(net: Path) -> None:
    row = latency._row("net", net, 1e-4, pp.Target(name="own", backend="clockwork"))
    assert row["measured"] is None and "latency=0.0001" in row["note"]
    assert set(row) == set(latency._row("net", net, 0.6, None))
