"""The order of the calls on a GPU, what happens when one fails, and that everything is given back.

No GPU is needed, and none has been used: ``gpu.py`` stands in for it.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
import pytest

from prunepass.backends._tensorrt_cuda import Device, load_cuda
from prunepass.backends._tensorrt_log import Log
from prunepass.backends._tensorrt_memory import Tensor, tensors_of
from prunepass.backends._tensorrt_run import Capture, Runner
from prunepass.ir import BackendError, ModelError, PrunepassError, UnsupportedError, UsageError
from tests.backends.gpu import COPY_MS, INFERENCE_MS, FakeContext, FakeCuda, FakeEngine, fake_trt

X = np.arange(6, dtype=np.float32).reshape(2, 3)
EVERY = ["cudaMemcpyAsync", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaStreamSynchronize"]
FIRST = [
    *("cudaMallocHost", "cudaMalloc") * 2,
    *("cudaMemcpyAsync", "execute_async_v3", "cudaStreamSynchronize"),
    *("cudaStreamBeginCapture", "execute_async_v3", "cudaStreamEndCapture"),
    *("cudaGraphInstantiate", "cudaGraphDestroy"),
]


def runner(cuda: FakeCuda, capture: Capture = "try", on_host: bool = False, **context: Any) -> Runner:
    engine = FakeEngine(cuda, on_host)
    tensors = tensors_of(fake_trt(engine), engine)
    return Runner(FakeContext(cuda, **context), tensors, Device(cuda), Log(), capture)


def test_an_inference_copies_in_computes_and_copies_out() -> None:
    one = runner(FakeCuda())
    first = one.run({"x": X})["y"]
    second = one.run({"x": X + 1})["y"]
    np.testing.assert_array_equal(first, 2 * X)
    np.testing.assert_array_equal(second, 2 * (X + 1))


def test_the_first_inference_is_run_plain_before_it_is_captured_and_the_next_ones_launch_the_graph() -> None:
    cuda = FakeCuda()
    one = runner(cuda)
    cuda.calls.clear()
    one.run({"x": X})
    assert cuda.calls == FIRST + EVERY
    cuda.calls.clear()
    one.run({"x": X})
    assert cuda.calls == EVERY


def test_other_sizes_get_other_buffers_and_another_graph() -> None:
    cuda = FakeCuda()
    one = runner(cuda)
    one.run({"x": X})
    held = len(cuda.held)
    np.testing.assert_array_equal(one.run({"x": X[:1]})["y"], 2 * X[:1])
    np.testing.assert_array_equal(one.run({"x": X})["y"], 2 * X)
    assert len(cuda.held) == held


def test_closing_gives_everything_back_graph_before_memory_before_stream() -> None:
    cuda = FakeCuda()
    one = runner(cuda)
    one.run({"x": X})
    cuda.calls.clear()
    one.close()
    assert cuda.held == {}
    memory = ["cudaFree", "cudaFreeHost"]
    assert cuda.calls == ["cudaStreamSynchronize", "cudaGraphExecDestroy", *memory * 2, "cudaStreamDestroy"]
    one.close()


CALLS = sorted({*FIRST, *EVERY, "cudaStreamCreateWithFlags"} - {"execute_async_v3", "cudaStreamEndCapture"})


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_fails_is_told_and_nothing_stays_taken(name: str, after: int) -> None:
    cuda = FakeCuda(name, after)
    with ExitStack() as stack:
        # What is called once does not fail the second time.
        fails = after == 0 or (FIRST + EVERY).count(name) > after
        expected = pytest.raises(BackendError, match="cudaErrorMemoryAllocation") if fails else nullcontext()
        with expected as caught:
            one = runner(cuda)
            stack.callback(one.close)
            one.run({"x": X})
        if caught is not None:
            assert "smaller inputs" in caught.value.advice
    # A handle whose release failed is lost; it is the only one.
    lost = ["graph"] if name == "cudaGraphDestroy" and fails else []
    assert [kind for kind, _ in cuda.held.values()] == lost


def test_after_a_failure_the_next_inference_is_right() -> None:
    cuda = FakeCuda("cudaMalloc", 1)
    one = runner(cuda)
    with pytest.raises(BackendError):
        one.run({"x": X})
    np.testing.assert_array_equal(one.run({"x": X})["y"], 2 * X)


@pytest.mark.parametrize("refuses", ["capture", "invalid"])
def test_what_cannot_be_captured_runs_without_a_graph(refuses: str) -> None:
    cuda = FakeCuda()
    cuda.invalid = refuses == "invalid"
    one = runner(cuda, refuses=refuses)
    np.testing.assert_array_equal(one.run({"x": X})["y"], 2 * X)
    # A capture that failed leaves its error behind, for the next call to stumble over.
    assert "cudaGetLastError" in cuda.calls and "cudaGraphLaunch" not in cuda.calls
    assert not one.times({"x": X}, 1, 0).graph
    one.close()
    assert cuda.held == {}


def test_a_capture_ends_also_where_the_inference_raises() -> None:
    cuda = FakeCuda()
    one = runner(cuda, refuses="everything in a capture")
    with pytest.raises(ValueError, match="while capturing"):
        one.run({"x": X})
    assert cuda.captured is None
    one.close()
    assert cuda.held == {}


@pytest.mark.parametrize(("capture", "capturable"), [("never", True), ("ask", False), ("ask", True)])
def test_a_graph_is_captured_only_where_it_is_wanted_and_possible(capture: Capture, capturable: bool) -> None:
    cuda = FakeCuda()
    one = runner(cuda, capture, capturable=capturable)
    np.testing.assert_array_equal(one.run({"x": X})["y"], 2 * X)
    assert ("is_stream_capturable" in cuda.calls) == (capture == "ask")
    assert ("cudaStreamBeginCapture" in cuda.calls) == (capture == "ask" and capturable)


@pytest.mark.parametrize(
    ("context", "kind", "told"),
    [
        ({"most": 1}, UsageError, "2x3 is outside"),
        ({"refuses": "execution"}, ModelError, "inference fails"),
        ({"refuses": "shapes"}, ModelError, "sizes of the outputs"),
        ({"refuses": "missing"}, UsageError, "sizes of x"),
        ({"refuses": "address"}, BackendError, "memory of 'x'"),
        ({"data_dependent": True}, UnsupportedError, "'y' depends on the data"),
    ],
)
def test_what_the_engine_refuses_is_told_and_nothing_stays_taken(
    context: dict[str, Any], kind: type[PrunepassError], told: str
) -> None:
    cuda = FakeCuda()
    one = runner(cuda, **context)
    with pytest.raises(kind, match=told):
        one.run({"x": X})
    one.close()
    assert cuda.held == {}


def test_what_is_read_on_the_host_stays_there_and_new_values_are_new_sizes() -> None:
    cuda = FakeCuda()
    one = runner(cuda, on_host=True)
    np.testing.assert_array_equal(one.run({"x": X})["y"], 2 * X)
    assert not {"cudaMalloc", "cudaMemcpyAsync"} & set(cuda.calls)
    cuda.calls.clear()
    one.run({"x": X + 1})
    assert "cudaMallocHost" in cuda.calls


def test_times_are_those_between_the_events() -> None:
    cuda = FakeCuda()
    one = runner(cuda)
    times = one.times({"x": X}, 3, 0)
    assert times.graph
    assert times.h2d == times.d2h == (COPY_MS / 1e3,) * 3
    assert times.gpu_compute == (INFERENCE_MS / 1e3,) * 3
    assert times.latency == pytest.approx(((2 * COPY_MS + INFERENCE_MS) / 1e3,) * 3)
    assert len(times.enqueue) == 3 and min(times.enqueue) > 0
    assert "event" not in {kind for kind, _ in cuda.held.values()}


def test_a_type_that_numpy_lacks_is_read_with_ml_dtypes() -> None:
    pytest.importorskip("ml_dtypes")
    cuda = FakeCuda()
    engine = FakeEngine(cuda)
    names = {"x": "BF16", "y": "FP8"}
    engine.get_tensor_dtype = lambda name: type("D", (), {"name": names[name]})  # type: ignore[method-assign]
    found: tuple[Tensor, ...] = tensors_of(fake_trt(engine), engine)
    assert [tensor.dtype.name for tensor in found] == ["bfloat16", "float8_e4m3fn"]
    names["x"] = "FP4"
    with pytest.raises(UnsupportedError, match="fp4"):
        tensors_of(fake_trt(engine), engine)


def test_no_gpu_is_told_with_the_reason() -> None:
    assert Device(FakeCuda()).unavailable() is None
    assert Device(FakeCuda(devices=0)).unavailable() == "there is no GPU"
    assert "cudaErrorMemoryAllocation" in (Device(FakeCuda("cudaGetDeviceCount")).unavailable() or "")


def test_the_real_runtime_answers_where_it_is_installed() -> None:
    pytest.importorskip("cuda.bindings.runtime")
    reason = Device(load_cuda("")).unavailable()
    assert reason is None or "GPU" in reason


def test_the_real_bindings_take_the_arguments_of_every_call() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    device, stack = Device(load_cuda("")), ExitStack()
    if device.unavailable() is None:
        pytest.skip("there is a GPU, which would be harmed")
    stream, event, graph = runtime.cudaStream_t(), runtime.cudaEvent_t(), runtime.cudaGraphExec_t()
    assert int(stream) == int(runtime.cudaGraph_t()) == 0
    for call in (
        lambda: device.stream(stack),
        lambda: device.synchronize(stream),
        lambda: device.device_memory(4, stack),
        lambda: device.host_memory(4, stack),
        lambda: device.copy_in(1, 2, 4, stream),
        lambda: device.copy_out(2, 1, 4, stream),
        lambda: device.event(stack),
        lambda: device.record(event, stream),
        lambda: device.seconds(event, event),
        lambda: device.captured(stream, lambda: True, stack),
        lambda: device.launch(graph, stream),
    ):
        with pytest.raises(BackendError, match="cudaError"):
            call()
    # What only follows a success.
    for name in ("EndCapture", "Destroy"):
        assert int(getattr(runtime, f"cudaStream{name}")(stream)[0])
    for free, handle in (("Graph", runtime.cudaGraph_t()), ("GraphExec", graph), ("Event", event)):
        assert int(getattr(runtime, f"cuda{free}Destroy")(handle)[0])
    assert int(runtime.cudaGraphInstantiate(runtime.cudaGraph_t(), 0)[0])
    assert int(runtime.cudaFree(1)[0]) and int(runtime.cudaFreeHost(1)[0])
