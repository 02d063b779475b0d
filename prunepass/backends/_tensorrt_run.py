"""Running a plan on the GPU: buffers for one set of input sizes at a time, and a CUDA graph of the inference.

NOT YET RUN ON A GPU: the order of the calls is tested against a stand-in, the calls against the installed
packages. ``docs/tensorrt.md`` says what was run where.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..ir import BackendError, ModelError, UnsupportedError, UsageError
from ._device_times import DeviceTimes
from ._tensorrt_build import dtype_of
from ._tensorrt_cuda import Device
from ._tensorrt_log import Log
from ._tensorrt_seam import ICudaEngine, IExecutionContext

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Capture: TypeAlias = Literal["never", "try", "ask"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of the engine; one that is read on the host never goes to the device."""

    name: str
    is_input: bool
    on_host: bool
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory of one tensor: ``array`` looks at the page-locked bytes at ``host``."""

    tensor: Tensor
    array: npt.NDArray[Any]
    host: int
    device: int | None


@dataclass(frozen=True, slots=True)
class Bound:
    """Buffers for one set of input sizes; ``graph`` is None where kernels are handed over one by one."""

    key: tuple[object, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    graph: Any
    stack: ExitStack


def tensors_of(trt: Any, engine: ICudaEngine) -> tuple[Tensor, ...]:
    """The inputs and outputs of an engine."""
    found = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        on_host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
        found.append(Tensor(name, is_input, on_host, _dtype(dtype_of(engine.get_tensor_dtype(name)))))
    return tuple(found)


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError) as error:
        raise UnsupportedError(f"numpy has no type '{name}'", advice="pip install ml_dtypes") from error
    return found


class Runner:
    """Inferences of one execution context, one at a time, on a stream of its own.

    Args:
        capture: whether to launch a CUDA graph: ``never``, where capturing works (``try``), or where the
            context says before that it will (``ask``, which TensorRT-RTX answers).
    """

    def __init__(
        self,
        context: IExecutionContext,
        tensors: tuple[Tensor, ...],
        device: Device,
        log: Log,
        capture: Capture,
    ) -> None:
        self._context, self._tensors, self._device, self._log = context, tensors, device, log
        self._capture = capture
        self._bound: Bound | None = None
        with ExitStack() as stack:
            self._stream = device.stream(stack)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Give everything back, last taken first."""
        with self._stack:
            self._release()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Copy in, compute, copy out, wait.

        Raises:
            UsageError: the sizes are outside those that the engine was built for.
            ModelError: the inference fails. BackendError: CUDA does.
        """
        bound = self._filled(feeds)
        self._copy_in(bound)
        self._launch(bound)
        self._copy_out(bound)
        self._device.synchronize(self._stream)
        return {buffer.tensor.name: buffer.array.copy() for buffer in bound.outputs}

    def times(self, feeds: Arrays, runs: int, warmup: float) -> DeviceTimes:
        """Time ``runs`` inferences after ``warmup`` seconds; errors as in :meth:`run`."""
        bound, device = self._filled(feeds), self._device
        with ExitStack() as stack:
            events = [device.event(stack) for _ in range(4)]
            end = perf_counter() + warmup
            while perf_counter() < end:
                self._timed(bound, events)
            rows = [self._timed(bound, events) for _ in range(runs)]
        h2d, gpu_compute, d2h, enqueue = (tuple(column) for column in zip(*rows, strict=True))
        return DeviceTimes(h2d, gpu_compute, d2h, enqueue, bound.graph is not None)

    def _timed(self, bound: Bound, events: list[Any]) -> tuple[float, float, float, float]:
        device, stream = self._device, self._stream
        device.record(events[0], stream)
        self._copy_in(bound)
        device.record(events[1], stream)
        start = perf_counter()
        self._launch(bound)
        enqueue = perf_counter() - start
        device.record(events[2], stream)
        self._copy_out(bound)
        device.record(events[3], stream)
        device.synchronize(stream)
        h2d, compute, d2h = (device.seconds(*pair) for pair in pairwise(events))
        return h2d, compute, d2h, enqueue

    def _filled(self, feeds: Arrays) -> Bound:
        """Buffers that fit ``feeds`` and hold them."""
        key = tuple(self._key(tensor, feeds[tensor.name]) for tensor in self._tensors if tensor.is_input)
        if self._bound is None or self._bound.key != key:
            self._release()
            self._bound = self._bind(key, feeds)
        for buffer in self._bound.inputs:
            np.copyto(buffer.array, feeds[buffer.tensor.name])
        return self._bound

    @staticmethod
    def _key(tensor: Tensor, array: npt.NDArray[Any]) -> tuple[object, ...]:
        # What is read on the host decides sizes by its values.
        return (tensor.name, array.shape, array.tobytes() if tensor.on_host else b"")

    def _release(self) -> None:
        bound, self._bound = self._bound, None
        if bound is not None:
            bound.stack.close()

    def _bind(self, key: tuple[object, ...], feeds: Arrays) -> Bound:
        with ExitStack() as stack:
            inputs = tuple(
                self._input(tensor, feeds[tensor.name], stack) for tensor in self._tensors if tensor.is_input
            )
            self._infer_shapes()
            outputs = tuple(self._output(tensor, stack) for tensor in self._tensors if not tensor.is_input)
            bound = Bound(key, inputs, outputs, None, stack)
            try:
                self._copy_in(bound)
                # The first inference allocates and, in TensorRT-RTX, compiles: neither may be captured.
                self._enqueue()
            finally:  # whatever went wrong, memory is not given back under a copy that is still going on
                self._device.synchronize(self._stream)
            graph = self._captured(stack)
            stack.callback(self._device.synchronize, self._stream)
            return Bound(key, inputs, outputs, graph, stack.pop_all())

    def _input(self, tensor: Tensor, array: npt.NDArray[Any], stack: ExitStack) -> Buffer:
        if not self._context.set_input_shape(tensor.name, tuple(array.shape)):
            got = "x".join(map(str, array.shape))
            what = f"input '{tensor.name}' of {got} is outside what the engine was built for"
            raise UsageError(what, advice="build it with wider shapes")
        buffer = self._buffer(tensor, array.shape, stack)
        np.copyto(buffer.array, array)
        return buffer

    def _infer_shapes(self) -> None:
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            raise ModelError(f"the sizes of the outputs cannot be told: {self._log.said()}") from error
        if missing:
            raise UsageError(f"the sizes of {', '.join(missing)} are not known")

    def _output(self, tensor: Tensor, stack: ExitStack) -> Buffer:
        shape = tuple(self._context.get_tensor_shape(tensor.name))
        if any(size < 0 for size in shape):
            what = f"the size of output '{tensor.name}' depends on the data"
            raise UnsupportedError(what, advice="run it with another backend")
        return self._buffer(tensor, shape, stack)

    def _buffer(self, tensor: Tensor, shape: tuple[int, ...], stack: ExitStack) -> Buffer:
        size = prod(shape) * tensor.dtype.itemsize
        host = self._device.host_memory(size, stack)
        device = None if tensor.on_host else self._device.device_memory(size, stack)
        if not self._context.set_tensor_address(tensor.name, host if device is None else device):
            raise BackendError(f"TensorRT refuses the memory of '{tensor.name}': {self._log.said()}")
        memory = memoryview((ctypes.c_ubyte * max(1, size)).from_address(host)).cast("B")
        return Buffer(tensor, np.ndarray(shape, tensor.dtype, memory), host, device)

    def _captured(self, stack: ExitStack) -> Any:
        if self._capture == "never":
            return None
        if self._capture == "ask" and not self._context.is_stream_capturable(int(self._stream)):
            return None
        return self._device.captured(self._stream, self._try_enqueue, stack)

    def _copy_in(self, bound: Bound) -> None:
        for buffer in bound.inputs:
            if buffer.device is not None:
                self._device.copy_in(buffer.device, buffer.host, buffer.array.nbytes, self._stream)

    def _copy_out(self, bound: Bound) -> None:
        for buffer in bound.outputs:
            if buffer.device is not None:
                self._device.copy_out(buffer.host, buffer.device, buffer.array.nbytes, self._stream)

    def _launch(self, bound: Bound) -> None:
        if bound.graph is None:
            self._enqueue()
        else:
            self._device.launch(bound.graph, self._stream)

    def _enqueue(self) -> None:
        if not self._try_enqueue():
            raise ModelError(f"the inference fails: {self._log.said()}")

    def _try_enqueue(self) -> bool:
        return bool(self._context.execute_async_v3(int(self._stream)))
