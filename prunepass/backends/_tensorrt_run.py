"""Running a plan on the GPU: buffers for one set of input sizes at a time, and a CUDA graph of the inference.

NOT YET RUN ON A GPU: the order of the calls is tested against a stand-in, the calls against the installed
packages. ``docs/tensorrt.md`` says what was run where.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..ir import ModelError
from ._device_times import DeviceTimes
from ._tensorrt_cuda import Device
from ._tensorrt_log import Log
from ._tensorrt_memory import Buffer, Memory, Tensor
from ._tensorrt_seam import IExecutionContext

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Capture: TypeAlias = Literal["never", "try", "ask"]


@dataclass(frozen=True, slots=True)
class Bound:
    """Buffers for one set of input sizes; ``graph`` is None where kernels are handed over one by one."""

    key: tuple[object, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    graph: Any
    stack: ExitStack


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
        self._capture, self._memory = capture, Memory(context, device, log)
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
                self._memory.input(tensor, feeds[tensor.name], stack)
                for tensor in self._tensors
                if tensor.is_input
            )
            self._memory.infer_shapes()
            outputs = tuple(
                self._memory.output(tensor, stack) for tensor in self._tensors if not tensor.is_input
            )
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
