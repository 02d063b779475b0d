"""An engine on the stand-in of a GPU: loading, profiling, inspecting, and what the backend needs for it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prunepass import backends
from prunepass.backends import Layer, Memory, TensorSpec, _tensorrt
from prunepass.backends._tensorrt_build import Built
from prunepass.backends._tensorrt_cuda import Device
from prunepass.backends._tensorrt_live import Live
from prunepass.backends._tensorrt_log import Log
from prunepass.ir import BackendError, UsageError
from prunepass.measure import compare, statistics
from tests.backends.gpu import INFERENCE_MS, FakeCuda, FakeEngine, fake_trt

X = np.ones((2, 3), np.float32)
INSPECTED = '{"Layers": [{"Name": "double", "LayerType": "kgen", "Metadata": "[ONNX Layer: mul]"}]}'
SPEC = TensorSpec("x", ("batch", 3), "float32")
RTX = pytest.mark.parametrize("rtx", [False, True])


def engine_on(
    monkeypatch: pytest.MonkeyPatch,
    cuda: FakeCuda,
    engine: FakeEngine,
    shape_tensors: frozenset[str] = frozenset(),
) -> _tensorrt.TensorRtEngine:
    """The public engine over a package and a GPU that are stand-ins."""
    backend = _tensorrt.TensorRt("tensorrt", _tensorrt.Flavour("tensorrt", "tensorrt", rtx=False))
    monkeypatch.setitem(sys.modules, "tensorrt", fake_trt(engine))
    monkeypatch.setattr(_tensorrt, "load_cuda", lambda install: cuda)
    log = Log()
    log.add("VERBOSE", "Total Weights Memory: 7 bytes")
    return _tensorrt.TensorRtEngine(backend, Built(b"plan", (SPEC,), (), {"x": (2, 3)}, shape_tensors, log))


def test_an_engine_goes_to_the_gpu_when_it_is_first_run_and_leaves_it_when_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda, inspected=INSPECTED)) as engine:
        assert isinstance(engine, backends.Engine)
        assert not cuda.held and engine.memory() == Memory(7, None)
        np.testing.assert_array_equal(engine.run({"x": X})["y"], 2 * X)
        assert engine.layers() == (Layer("double", "kgen", "", ("mul",)),)
        assert engine.layers_unavailable() is None
        assert engine.memory() == Memory(7, FakeEngine.device_memory_size_v2)
        assert cuda.held
    assert not cuda.held
    with pytest.raises(UsageError, match="closed"):
        engine.run({"x": X})


def test_layers_that_nobody_tells_are_unavailable_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        engine.run({"x": X})
        assert engine.layers() == ()
        assert "tensorrt 11.0.0" in (engine.layers_unavailable() or "")


def test_feeds_are_checked_before_they_reach_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        for feeds in ({}, {"x": X.astype(np.float64)}, {"x": X[:, :2]}, {"z": X}):
            with pytest.raises(UsageError):
                engine.run(feeds)
        assert "cudaMemcpyAsync" not in cuda.calls
        # A view with strides is copied in the order of its indices.
        np.testing.assert_array_equal(engine.run({"x": np.ones((3, 2), np.float32).T})["y"], 2 * X)


def test_a_feed_of_one_number_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        engine.inputs = (TensorSpec("x", (), "float32"),)
        assert engine._checked({"x": np.float32(3)})["x"].shape == ()


def test_times_are_told_in_the_terms_of_trtexec_and_make_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        times = engine.device_times(runs=4, warmup=0)
        assert statistics(times.latency).median == pytest.approx(12) and times.graph
        for call in (engine.device_times, engine.profile):
            with pytest.raises(UsageError, match="at least 1"):
                call(runs=0)


def test_engines_are_compared_by_the_gpu_s_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        found = compare([engine, engine], warmup=0, duration=0, iterations=2)
    assert found.clocks[0] == engine.backend.clock() == "device"
    assert found.engines[1].time("device").median == pytest.approx(INFERENCE_MS)
    assert found.engines[1].faster("device").median == pytest.approx(1)


def test_a_profile_has_each_layer_once_with_its_kind_and_median(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    fake = FakeEngine(cuda, inspected=INSPECTED)
    with engine_on(monkeypatch, cuda, fake) as engine:
        double, move = engine.profile({"x": X}, runs=1)  # the one before it is no measure
        assert (double.name, double.kind, double.microseconds) == ("double", "kgen", 1000)
        assert (move.name, move.microseconds) == ("move", 2000 + 3000)
        assert double.share + move.share == pytest.approx(1)
        plain, profiled = fake.contexts
        # Profiling makes every layer wait: the context that is timed has nothing of it.
        assert plain.profiler is None and profiled.profiler is not None
        engine.run({"x": X})
    assert not cuda.held


def test_made_up_feeds_have_the_usual_sizes_and_shape_tensors_the_usual_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda()
    with engine_on(monkeypatch, cuda, FakeEngine(cuda)) as engine:
        assert engine._made_up()["x"].shape == (2, 3)
    with engine_on(monkeypatch, cuda, FakeEngine(cuda), frozenset({"x"})) as engine:
        engine.inputs = (TensorSpec("x", (2,), "int64"),)
        assert engine._made_up()["x"].tolist() == [2, 3]


@RTX
def test_only_tensorrt_rtx_is_asked_to_compile_for_the_sizes_before_it_answers(rtx: bool) -> None:
    engine = FakeEngine(FakeCuda())
    live = Live(fake_trt(engine, rtx=rtx), b"plan", Device(engine.cuda), specialized=rtx)
    live.runner.run({"x": X})
    strategies = [one.dynamic_shapes_kernel_specialization_strategy for one in engine.contexts[0].configured]
    assert strategies == (["EAGER"] if rtx else [])
    assert ("is_stream_capturable" in engine.cuda.calls) == rtx
    live.close()


@RTX
def test_a_plan_that_does_not_load_is_told_with_the_reason(rtx: bool) -> None:
    with pytest.raises(BackendError, match="old plan") as caught:
        Live(fake_trt(None, rtx=rtx), b"plan", Device(FakeCuda()), specialized=rtx)
    assert "build it for this GPU" in caught.value.advice


def test_an_engine_without_memory_is_told() -> None:
    engine = FakeEngine(FakeCuda())
    engine.full = True
    with pytest.raises(BackendError, match="no memory"):
        Live(fake_trt(engine), b"plan", Device(engine.cuda), specialized=False)


def test_what_tensorrt_needs_is_told_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backends.get("tensorrt")

    def reason() -> str:
        return backend.unavailable() or ""

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "prunepass[tensorrt]" in reason()
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.0.1"))
    assert "10.1 or later" in reason()
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="11.0.0"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert "cuda-bindings" in reason() and "prunepass[tensorrt]" in reason()
    monkeypatch.setattr(_tensorrt, "load_cuda", lambda install: FakeCuda(devices=0))
    assert "needs a GPU" in reason()
    with pytest.raises(BackendError, match="needs a GPU"):
        backend.build(b"anything")
    monkeypatch.setattr(_tensorrt, "load_cuda", lambda install: FakeCuda())
    assert backend.unavailable() is None and backend.version() == "11.0.0"


def test_a_package_whose_libraries_do_not_load_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, *rest: Any, **more: Any) -> Any:
        raise OSError("libtensorrt_rtx.so.1: cannot open shared object file")

    monkeypatch.setattr(_tensorrt, "import_module", broken)
    for name in ("tensorrt", "tensorrt-rtx"):
        backend = backends.get(name)
        assert "cannot open shared object file" in (backend.unavailable() or "")
        with pytest.raises(BackendError, match="shared object"):
            backend.build(b"anything")
