"""Calibration, against an engine whose time is a known staircase: no clock is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import prunepass as pp
from prunepass.hosts import open_model
from prunepass.hosts.onnx import load
from prunepass.hosts.onnx._extract import Extractor
from prunepass.ir import Graph
from prunepass.measure import Comparison
from prunepass.passes import layers_of
from prunepass.targets._parts import Bench
from prunepass.targets._targets import to_toml
from tests.backends.nets import model
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase


def net() -> onnx.ModelProto:
    """Two layers of windows, one of points with an activation behind it, over 8 x 8 pixels; all wide."""
    rng = np.random.default_rng(0)
    node, weights = onnx.helper.make_node, {}
    nodes = [
        node("Conv", ["x", "w0"], ["c0"], "conv0", pads=[1] * 4),
        node("Relu", ["c0"], ["r0"], "relu0"),
        node("Conv", ["r0", "w1"], ["c1"], "conv1", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "conv2"),
        node("Relu", ["c2"], ["r2"], "relu2"),
        node("Conv", ["r2", "w3"], ["y"], "conv3"),
    ]
    for place, shape in enumerate(((64, 3, 3, 3), (64, 64, 3, 3), (96, 64, 1, 1), (5, 96, 1, 1))):
        weights[f"w{place}"] = rng.standard_normal(shape)
    return model(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 5, 8, 8)}, **weights)


def by_eights(graph: Graph) -> float:
    return staircase(graph, step=8, overhead=0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of engines of each comparison that was made."""
    made: list[int] = []

    def compare(models: Sequence[Any], *args: Any, **options: Any) -> Comparison:
        made.append(len(models))
        return clockwork.compare(models, *args, **options)

    monkeypatch.setattr("prunepass.targets._calibrate.compare", compare)
    return made


def calibrated(cache: Path, **options: Any) -> pp.Target:
    return pp.calibrate(net(), backend=ClockworkBackend(by_eights), cache=cache, **options)


def test_the_grain_is_the_step_of_the_engine(tmp_path: Path, counted: list[int]) -> None:
    target = calibrated(tmp_path)
    assert (target.align, target.by_work) == (8, {})
    assert (target.backend, target.version, dict(target.options)) == ("clockwork", "1.0", {"threads": 1})


def test_the_table_holds_each_layer_at_widths_on_the_grain(tmp_path: Path, counted: list[int]) -> None:
    target = calibrated(tmp_path)
    session = open_model(net())
    layers = layers_of(pp.passes.couple(session.graph))
    assert set(target.layers) == {layer.key for layer in layers}
    second = next(layer for layer in layers if layer.node.name == "conv1")
    row = target.layers[second.key]
    assert row.kind == "window" and len(row.widths) == 16
    for widths, microseconds in zip(row.widths, row.microseconds, strict=True):
        assert all(width % 8 == 0 for width in widths)
        work = np.prod(widths) * 9 * 64 + 500
        assert microseconds == pytest.approx(work * 1e-3, rel=1e-3)


def test_what_was_measured_is_not_measured_again(tmp_path: Path, counted: list[int]) -> None:
    first, before = calibrated(tmp_path), len(counted)
    assert before > 0
    assert to_toml(calibrated(tmp_path)) == to_toml(first)
    assert len(counted) == before
    calibrated(tmp_path, threads=2)
    assert len(counted) == 2 * before


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, counted: list[int]) -> None:
    def stop(done: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrated(tmp_path, progress=stop)
    half = len(counted)
    calibrated(tmp_path)
    whole = len(counted)
    calibrated(tmp_path / "fresh")
    assert 0 < half < whole == len(counted) - whole


@pytest.mark.parametrize("value", [[], [1.0, 0.0], [0.0] * 12, [-1.0] * 12, [1e308, 0.0, 1e308, -1.0]])
def test_a_journal_of_nonsense_is_measured_anew(
    value: list[float], tmp_path: Path, counted: list[int]
) -> None:
    first = calibrated(tmp_path, quick=True)
    needed, journal = len(counted), tmp_path / "latency.jsonl"
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    text = "".join(json.dumps({**line, "value": value}) + "\n" for line in lines)
    journal.write_text(text, encoding="utf-8")
    assert calibrated(tmp_path, quick=True) == first
    assert len(counted) == 2 * needed


def test_an_engine_that_takes_no_layer_gives_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise pp.UnsupportedError("there is no kernel")

    monkeypatch.setattr("prunepass.targets._calibrate.compare", refuse)
    with pytest.raises(
        pp.UnsupportedError, match=r"no layer of the model can be measured.*there is no kernel"
    ):
        calibrated(tmp_path)


def test_progress_ends_at_all_of_it(tmp_path: Path, counted: list[int]) -> None:
    seen: list[float] = []
    calibrated(tmp_path, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_quick_measures_less(tmp_path: Path, counted: list[int]) -> None:
    calibrated(tmp_path)
    whole = sum(counted)
    calibrated(tmp_path, quick=True)
    assert sum(counted) - whole < whole / 2


def test_a_target_that_was_measured_steers_a_prune(
    tmp_path: Path, counted: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)
    backend = ClockworkBackend(by_eights)
    target = pp.calibrate(net(), backend=backend, cache=tmp_path)
    result = pp.prune(net(), budget="latency=0.6", score="l2", target=target, backend=backend)
    latency = result.report.latency
    assert latency is not None and latency.probes == 2 and latency.target == "clockwork-measured"
    assert 0.5 < latency.measured <= 0.6
    # The table knows this engine: the first prediction is good.
    assert abs(latency.rounds[0].error) < 0.05


def test_times_at_another_number_of_threads_are_not_used(
    tmp_path: Path, counted: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)
    backend = ClockworkBackend(by_eights)
    target = pp.calibrate(net(), backend=backend, cache=tmp_path, quick=True)
    options: dict[str, Any] = {"budget": "latency=0.6", "score": "l2", "target": target, "backend": backend}
    probes = [pp.prune(net(), threads=threads, **options).report.latency for threads in (1, 2)]
    assert [found.probes for found in probes if found is not None] == [2, 5]


def test_a_part_is_the_layer_of_the_cut_model_with_its_activation() -> None:
    session = open_model(load(net()))
    bench = Bench(session, session.graph)
    layer = next(layer for layer in layers_of(bench.coupling) if layer.node.name == "conv1")
    (inside,), (out,) = ([leaf for _, leaves in size for leaf in leaves] for size in layer.axes)
    part = onnx.load_from_string(bench.part(layer, {inside: 24, out: 40}))
    assert [node.op_type for node in part.graph.node] == ["Conv", "Relu"]
    assert list(part.graph.initializer[0].dims) == [40, 24, 3, 3]
    onnx.checker.check_model(part)
    with pp.backends.get("onnxruntime").build(part) as engine:
        (made,) = engine.run({"r0": np.ones((1, 24, 8, 8), np.float32)}).values()
    assert made.shape == (1, 40, 8, 8) and made.min() >= 0


def test_a_part_cannot_begin_where_the_file_has_no_value() -> None:
    session = open_model(load(net()))
    extractor, value = (
        Extractor(session.replay(session.graph, session.graph, inplace=False)),
        session.graph.values,
    )
    with pytest.raises(pp.UnsupportedError, match="no value 'x'"):
        extractor.part({}, value["c0"])


def test_an_engine_is_really_measured(tmp_path: Path) -> None:
    target = pp.calibrate(net(), backend="onnxruntime", quick=True, cache=tmp_path)
    assert target.align in (1, 2, 4, 8, 16, 32)
    assert all(time > 0 for row in target.layers.values() for time in row.microseconds)


def test_a_backend_that_cannot_run_here_is_refused() -> None:
    class Absent(ClockworkBackend):
        def unavailable(self) -> str | None:
            return "there is no device"

    with pytest.raises(pp.BackendError, match="'clockwork' is not available: there is no device"):
        pp.calibrate(net(), backend=Absent())


def test_a_backend_that_does_not_read_onnx_is_refused() -> None:
    backend = ClockworkBackend()
    backend.reads = ("pt2",)  # type: ignore[attr-defined]
    with pytest.raises(pp.UsageError, match="does not read"):
        pp.calibrate(net(), backend=backend)


def test_a_model_without_anything_to_cut_is_refused(tmp_path: Path) -> None:
    from tests.cli import nets

    with pytest.raises(pp.UsageError, match="no layer whose widths"):
        pp.calibrate(nets.nothing_to_prune(), backend=ClockworkBackend(), cache=tmp_path)
