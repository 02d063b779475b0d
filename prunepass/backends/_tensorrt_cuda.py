"""CUDA calls that raise, and whose results are given back when an ``ExitStack`` ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from ..ir import BackendError
from ._cuda_seam import Cuda

_ADVICE = {
    "cudaErrorMemoryAllocation": "close other engines, or feed smaller inputs",
    "cudaErrorInsufficientDriver": "no driver is loaded, or one that is older than the CUDA of cuda-bindings",
    "cudaErrorNoDevice": "run on a machine with a GPU",
}


class Device:
    """The current GPU."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda

    def unavailable(self) -> str | None:
        """The reason why there is no GPU, or None where there is one."""
        try:
            count = self._checked(self._cuda.cudaGetDeviceCount())
        except BackendError as error:
            return f"there is no usable GPU: {error}"
        return None if count else "there is no GPU"

    def stream(self, stack: ExitStack) -> Any:
        """A stream that does not wait for the default one."""
        stream = self._checked(self._cuda.cudaStreamCreateWithFlags(self._cuda.cudaStreamNonBlocking))
        self._give_back(stack, self._cuda.cudaStreamDestroy, stream)
        return stream

    def synchronize(self, stream: Any) -> None:
        self._checked(self._cuda.cudaStreamSynchronize(stream))

    def device_memory(self, size: int, stack: ExitStack) -> int:
        """The address of ``size`` bytes on the device."""
        pointer = self._checked(self._cuda.cudaMalloc(max(1, size)))
        self._give_back(stack, self._cuda.cudaFree, pointer)
        return int(pointer)

    def host_memory(self, size: int, stack: ExitStack) -> int:
        """The address of ``size`` page-locked bytes: copies from and to others wait for the host."""
        pointer = self._checked(self._cuda.cudaMallocHost(max(1, size)))
        self._give_back(stack, self._cuda.cudaFreeHost, pointer)
        return int(pointer)

    def copy_in(self, device: int, host: int, size: int, stream: Any) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._checked(self._cuda.cudaMemcpyAsync(device, host, size, kind, stream))

    def copy_out(self, host: int, device: int, size: int, stream: Any) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._checked(self._cuda.cudaMemcpyAsync(host, device, size, kind, stream))

    def event(self, stack: ExitStack) -> Any:
        event = self._checked(self._cuda.cudaEventCreate())
        self._give_back(stack, self._cuda.cudaEventDestroy, event)
        return event

    def record(self, event: Any, stream: Any) -> None:
        self._checked(self._cuda.cudaEventRecord(event, stream))

    def seconds(self, start: Any, end: Any) -> float:
        """Between two events that have passed."""
        return float(self._checked(self._cuda.cudaEventElapsedTime(start, end))) / 1e3

    def captured(self, stream: Any, enqueue: Callable[[], bool], stack: ExitStack) -> Any:
        """A graph of what ``enqueue`` hands to ``stream``, ready to launch; None where it cannot be captured."""
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._checked(self._cuda.cudaStreamBeginCapture(stream, mode))
        done = False
        try:
            done = enqueue()
        finally:  # a stream that is left capturing can do nothing else any more
            error, graph = self._cuda.cudaStreamEndCapture(stream)
            made = not int(error) and graph is not None and bool(int(graph))
            if made and not done:
                self._checked(self._cuda.cudaGraphDestroy(graph))
        if not (made and done):
            self._cuda.cudaGetLastError()  # a failed capture would otherwise be told by the next call
            return None
        try:
            ready = self._checked(self._cuda.cudaGraphInstantiate(graph, 0))
            self._give_back(stack, self._cuda.cudaGraphExecDestroy, ready)
        finally:
            self._checked(self._cuda.cudaGraphDestroy(graph))
        return ready

    def launch(self, graph: Any, stream: Any) -> None:
        self._checked(self._cuda.cudaGraphLaunch(graph, stream))

    def _give_back(self, stack: ExitStack, free: Callable[[Any], tuple[Any]], handle: Any) -> None:
        stack.callback(lambda: self._checked(free(handle)))

    def _checked(self, returned: tuple[Any, ...]) -> Any:
        error, *results = returned
        if int(error):
            name = self._cuda.cudaGetErrorName(error)[1].decode()
            text = self._cuda.cudaGetErrorString(error)[1].decode()
            raise BackendError(f"CUDA: {text} ({name})", advice=_ADVICE.get(name, ""))
        return results[0] if results else None


def load_cuda(install: str) -> Cuda:
    """CUDA's runtime.

    Args:
        install: what to do where it is missing.

    Raises:
        BackendError: ``cuda-bindings`` is missing or broken.
    """
    try:
        found: Any = import_module("cuda.bindings.runtime")
    except (ImportError, OSError) as error:
        raise BackendError(f"cuda-bindings cannot be imported: {error}", advice=install) from error
    runtime: Cuda = found
    return runtime
