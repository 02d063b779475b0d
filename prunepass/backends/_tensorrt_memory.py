"""Memory for the inputs and outputs of an engine, on the host and on the device."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import BackendError, ModelError, UnsupportedError, UsageError
from ._tensorrt_build import dtype_of
from ._tensorrt_cuda import Device
from ._tensorrt_log import Log
from ._tensorrt_seam import ICudaEngine, IExecutionContext


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


class Memory:
    """Takes memory for the tensors of one execution context and tells the context of it."""

    def __init__(self, context: IExecutionContext, device: Device, log: Log) -> None:
        self._context, self._device, self._log = context, device, log

    def input(self, tensor: Tensor, array: npt.NDArray[Any], stack: ExitStack) -> Buffer:
        """Memory of an input of the shape of ``array``, which it holds.

        Raises:
            UsageError: the engine was not built for the shape. BackendError: the memory is refused.
        """
        if not self._context.set_input_shape(tensor.name, tuple(array.shape)):
            got = "x".join(map(str, array.shape))
            what = f"input '{tensor.name}' of {got} is outside what the engine was built for"
            raise UsageError(what, advice="build it with wider shapes")
        buffer = self._buffer(tensor, array.shape, stack)
        np.copyto(buffer.array, array)
        return buffer

    def infer_shapes(self) -> None:
        """Let the context derive the sizes of the outputs.

        Raises:
            ModelError: it cannot. UsageError: sizes of inputs are missing.
        """
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            raise ModelError(f"the sizes of the outputs cannot be told: {self._log.said()}") from error
        if missing:
            raise UsageError(f"the sizes of {', '.join(missing)} are not known")

    def output(self, tensor: Tensor, stack: ExitStack) -> Buffer:
        """Memory of an output, once shapes are inferred.

        Raises:
            UnsupportedError: its size depends on the data. BackendError: the memory is refused.
        """
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
