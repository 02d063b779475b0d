from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunepass.backends import TensorSpec
from prunepass.ir import UsageError
from prunepass.measure import Sample, TimingOptions, compare, progress_bar, throughput
from prunepass.measure._compare import _measurement
from tests.measure.engines import IdleBackend, IdleEngine

QUICK: TimingOptions = {"warmup": 0, "duration": 0, "iterations": 3}


def test_models_are_built_with_the_threads_and_closed_after() -> None:
    backend = IdleBackend()
    found = compare(["a", "b"], backend, threads=2, **QUICK)
    assert backend.options == [{"threads": 2}] * 2
    assert all(engine.closed for engine in backend.built)
    assert (found.backend, found.version, found.threads, found.rounds) == ("idle", "1.2", 2, 3)
    assert found.clock == "wall" and compare(["a"], backend, **QUICK).clock == "cpu"


def test_models_are_closed_when_a_later_one_fails() -> None:
    class Failing(IdleBackend):
        def build(self, model: object, *, options: Any = None) -> IdleEngine:
            if model == "bad":
                raise UsageError("bad")
            return super().build(model, options=options)

    backend = Failing()
    with pytest.raises(UsageError, match="bad"):
        compare(["good", "bad"], backend, **QUICK)
    assert backend.built[0].closed


def test_engines_that_are_built_already_stay_open() -> None:
    engines = [IdleEngine(), IdleEngine()]
    found = compare(engines, **QUICK)
    assert not any(engine.closed for engine in engines)
    assert [engine.name for engine in found.engines] == ["model 1", "model 2"]


def test_every_engine_gets_the_same_data_in_every_inference() -> None:
    engines = [IdleEngine(), IdleEngine()]
    compare(engines, **QUICK)
    for engine in engines:
        for fed in engine.fed:
            np.testing.assert_array_equal(fed["x"], engines[0].fed[0]["x"])


def test_given_feeds_are_used_and_checked_before_anything_is_timed() -> None:
    engine = IdleEngine()
    given = {"x": np.zeros((5, 2), np.float32)}
    compare([engine], feeds=given, **QUICK)
    assert engine.fed[-1] is given
    engine.fed.clear()
    with pytest.raises(UsageError, match="'x'"):
        compare([engine], feeds={"x": np.zeros((5, 3), np.float32)}, **QUICK)
    assert engine.fed == []


def test_a_free_size_that_decides_the_timing_is_asked_for() -> None:
    engine = IdleEngine()
    engine.inputs = (TensorSpec("x", ("n", "length"), "float32"),)
    with pytest.raises(UsageError, match="length"):
        compare([engine], **QUICK)


def test_names_are_those_of_the_files_without_folders_and_without_repetition() -> None:
    paths = [Path("in/net.onnx"), "out/net.onnx", "other.onnx"]
    found = compare(paths, IdleBackend(), **QUICK)
    assert [engine.name for engine in found.engines] == ["net", "net (2)", "other"]


def test_given_names_are_used_and_counted() -> None:
    found = compare(["a", "b"], IdleBackend(), names=["dense", "pruned"], **QUICK)
    assert [engine.name for engine in found.engines] == ["dense", "pruned"]
    with pytest.raises(UsageError, match="1 names for 2 models"):
        compare(["a", "b"], IdleBackend(), names=["dense"], **QUICK)


def test_the_first_engine_is_as_fast_as_itself() -> None:
    first = compare(["a", "b"], IdleBackend(), **QUICK).engines[0]
    assert first.faster("cpu").median == first.faster("wall").median == 1


def test_a_ratio_says_how_many_times_faster_an_engine_is_by_each_clock() -> None:
    first, other = Sample([6.0], [4.0], [6.0], [4.0]), Sample([2.0], [2.0], [2.0], [2.0])
    found = _measurement("other", other, first)
    assert (found.faster("wall").median, found.faster("cpu").median) == (3, 2)
    assert (found.wall.median, found.cpu.median, found.throughput) == (2000, 2000, 0.5)


def test_nothing_to_compare_is_told() -> None:
    with pytest.raises(UsageError, match="nothing"):
        compare([])


def test_one_engine_is_timed_by_itself_and_stays_open() -> None:
    engine = IdleEngine()
    found = throughput(engine, **QUICK)
    assert found.name == "idle"
    assert found.throughput == pytest.approx(1e3 / found.wall.mean)
    assert not engine.closed


def test_a_progress_bar_takes_what_the_measurement_tells() -> None:
    with progress_bar("measuring") as progress:
        compare(["a"], IdleBackend(), progress=progress, **QUICK)


def test_onnx_models_are_compared_on_onnx_runtime() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.backends.nets import conv_net

    found = compare([conv_net(32), conv_net(16)], names=["dense", "pruned"], **QUICK)
    assert found.backend == "onnxruntime"
    assert found["pruned"].wall.count >= 3


def test_an_unknown_option_of_the_timing_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no option rounds") as caught:
        compare(["a"], IdleBackend(), rounds=3)  # type: ignore[call-arg]
    assert "iterations" in caught.value.advice
