"""Stand-ins for a GPU and for what TensorRT runs on it: an engine that computes ``y = 2 x``.

Work that is handed to a stream waits until the stream is synchronised, so a result that is read too early is
wrong here too. Memory, streams, events and graphs are counted; time passes by what is done: 1 ms a copy, 10 ms
an inference.
"""
# ruff: noqa: N802, N815  (CUDA's names)

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np

COPY_MS, INFERENCE_MS = 1.0, 10.0


class Error(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorStreamCaptureInvalidated = 901


class FakeCuda:
    """Keeps the protocol ``Cuda``.

    Args:
        fails: name of the function that fails. after: how many calls of it succeed before.
    """

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread")
    cudaStreamNonBlocking = 1

    def __init__(self, fails: str = "", after: int = 0, devices: int = 1) -> None:
        self.fails, self.after, self.devices = fails, after, devices
        self.calls: list[str] = []
        self.held: dict[int, tuple[str, Any]] = {}
        self.queue: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None
        self.invalid = False
        self.clock = 0.0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("cuda") or not callable(found):
            return found

        def called(*args: Any) -> tuple[Any, ...]:
            if name.startswith("cudaGetError"):
                return found(*args)
            self.calls.append(name)
            if name == self.fails:
                self.after -= 1
                if self.after < 0:
                    self.fails = ""
                    # As cuda-bindings do: nothing besides the error.
                    return (Error.cudaErrorMemoryAllocation, None)
            return found(*args)

        return called

    def cudaGetDeviceCount(self) -> tuple[Any, int]:
        return Error.cudaSuccess, self.devices

    def cudaGetErrorName(self, error: Error) -> tuple[Any, bytes]:
        return Error.cudaSuccess, error.name.encode()

    def cudaGetErrorString(self, error: Error) -> tuple[Any, bytes]:
        return Error.cudaSuccess, f"what {error.name} means".encode()

    def cudaGetLastError(self) -> tuple[Any]:
        return (Error.cudaSuccess,)

    def _take(self, kind: str, what: Any = None, handle: int | None = None) -> tuple[Any, int]:
        handle = 1 + len(self.calls) if handle is None else handle
        assert handle not in self.held
        self.held[handle] = (kind, what)
        return Error.cudaSuccess, handle

    def _free(self, kind: str, handle: int) -> tuple[Any]:
        assert self.held.pop(handle)[0] == kind
        return (Error.cudaSuccess,)

    def _memory(self, kind: str, size: int) -> tuple[Any, int]:
        assert size > 0
        memory = (ctypes.c_ubyte * size)(*[0xAB] * min(size, 8))
        return self._take(kind, memory, ctypes.addressof(memory))

    def cudaMalloc(self, size: int) -> tuple[Any, int]:
        return self._memory("device", size)

    def cudaFree(self, pointer: int) -> tuple[Any]:
        return self._free("device", pointer)

    def cudaMallocHost(self, size: int) -> tuple[Any, int]:
        return self._memory("host", size)

    def cudaFreeHost(self, pointer: int) -> tuple[Any]:
        return self._free("host", pointer)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:
        assert flags == self.cudaStreamNonBlocking
        return self._take("stream")

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:
        return self._free("stream", stream)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:
        assert self.captured is None and self.held[stream][0] == "stream"
        waiting, self.queue = self.queue, []
        for work in waiting:
            work()
        return (Error.cudaSuccess,)

    def hand_over(self, work: Callable[[], None]) -> None:
        """Put work on the stream, or into the graph that is being captured."""
        (self.queue if self.captured is None else self.captured).append(work)

    def cudaMemcpyAsync(self, to: int, start: int, size: int, kind: str, stream: int) -> tuple[Any]:
        source, target = ("host", "device") if kind == "in" else ("device", "host")
        assert (self.held[start][0], self.held[to][0]) == (source, target)

        def work() -> None:
            assert {start, to} <= set(self.held), "the memory has been given back"
            ctypes.memmove(to, start, size)
            self.clock += COPY_MS

        self.hand_over(work)
        return (Error.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: int, mode: str) -> tuple[Any]:
        assert not self.queue, "work is still going on"
        self.captured = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, int | None]:
        work, self.captured = self.captured, None
        if self.invalid:
            return Error.cudaErrorStreamCaptureInvalidated, None
        return self._take("graph", work)

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Any, int]:
        return self._take("ready graph", self.held[graph][1])

    def cudaGraphDestroy(self, graph: int) -> tuple[Any]:
        return self._free("graph", graph)

    def cudaGraphExecDestroy(self, graph: int) -> tuple[Any]:
        return self._free("ready graph", graph)

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Any]:
        self.queue.extend(self.held[graph][1])
        return (Error.cudaSuccess,)

    def cudaEventCreate(self) -> tuple[Any, int]:
        return self._take("event", [0.0])

    def cudaEventDestroy(self, event: int) -> tuple[Any]:
        return self._free("event", event)

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Any]:
        time = self.held[event][1]
        self.hand_over(lambda: time.__setitem__(0, self.clock))
        return (Error.cudaSuccess,)

    def cudaEventElapsedTime(self, start: int, end: int) -> tuple[Any, float]:
        assert not self.queue, "the events have not passed"
        return Error.cudaSuccess, self.held[end][1][0] - self.held[start][1][0]


@dataclass
class FakeContext:
    """Computes ``y = 2 x`` in float32; ``x`` has ``most`` rows at most."""

    cuda: FakeCuda
    most: int = 8
    refuses: str = ""
    capturable: bool = True
    data_dependent: bool = False
    profiler: Any = None
    shape: tuple[int, ...] = ()
    addresses: dict[str, int] = field(default_factory=dict)
    configured: tuple[Any, ...] = ()

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        self.shape = tuple(shape)
        return shape[0] <= self.most

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self.refuses != "address"

    def infer_shapes(self) -> list[str]:
        if self.refuses == "shapes":
            raise RuntimeError("shape inference")
        return ["x"] if self.refuses == "missing" else []

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.shape[1:]) if self.data_dependent else self.shape

    def is_stream_capturable(self, stream: int) -> bool:
        self.cuda.calls.append("is_stream_capturable")
        return self.capturable

    def execute_async_v3(self, stream: int) -> bool:
        self.cuda.calls.append("execute_async_v3")
        if self.refuses == "execution" or (self.refuses == "capture" and self.cuda.captured is not None):
            return False
        if self.refuses == "everything in a capture" and self.cuda.captured is not None:
            raise ValueError("not while capturing")
        # What a graph has captured: where things were and how large, at that time.
        count, start, end = int(np.prod(self.shape)), self.addresses["x"], self.addresses["y"]

        def work() -> None:
            for address in (start, end):
                assert address in self.cuda.held, "the memory has been given back"
            view = [np.ctypeslib.as_array((ctypes.c_float * count).from_address(at)) for at in (start, end)]
            view[1][:] = 2 * view[0]
            self.cuda.clock += INFERENCE_MS
            if self.profiler is not None:
                for place, name in enumerate(("double", "move", "move")):
                    self.profiler.report_layer_time(name, 1.0 + place)

        self.cuda.hand_over(work)
        return True


class FakeEngine:
    """An engine with an input ``x`` and an output ``y``."""

    num_io_tensors = 2
    device_memory_size_v2 = 4096

    def __init__(self, cuda: FakeCuda, on_host: bool = False, inspected: str = "{}", **context: Any) -> None:
        self.cuda, self.on_host, self.inspected, self.context = cuda, on_host, inspected, context
        self.contexts: list[FakeContext] = []
        self.full = False

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> str:
        return {"x": "input", "y": "output"}[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="FLOAT")

    def get_tensor_location(self, name: str) -> str:
        return "host" if self.on_host else "device"

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda form: self.inspected)

    def create_runtime_config(self) -> Any:
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="LAZY")

    def create_execution_context(self, *config: Any) -> FakeContext | None:
        if self.full:
            return None
        self.contexts.append(FakeContext(self.cuda, configured=config, **self.context))
        return self.contexts[-1]


def fake_trt(engine: FakeEngine | None, *, rtx: bool = False) -> Any:
    """A package that loads ``engine``; without the names of TensorRT-RTX unless asked for."""

    class Listens:
        def __init__(self) -> None:
            pass

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
            if engine is None:
                self.logger.log(
                    SimpleNamespace(name="ERROR"), "IRuntime::load: Error Code 6: API Usage Error (old plan)"
                )
            return engine

    names: dict[str, Any] = {
        "ILogger": Listens,
        "IProfiler": Listens,
        "Runtime": Runtime,
        "TensorIOMode": SimpleNamespace(INPUT="input"),
        "TensorLocation": SimpleNamespace(HOST="host"),
        "LayerInformationFormat": SimpleNamespace(JSON="json"),
        "__version__": "11.0.0",
    }
    if rtx:
        names["DynamicShapesKernelSpecializationStrategy"] = SimpleNamespace(EAGER="EAGER")
    return SimpleNamespace(**names)
