"""Data files beside a model, mapped once each.

onnx_ir maps the file anew for every tensor that is read and keeps it open: a model of a thousand tensors
runs out of file handles. One mapping serves them all, and it outlives a file that is replaced.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ...ir import Array
from ._types import tensor_shape


def is_external(tensor: object) -> bool:
    """Return whether the data lies in a file beside the model."""
    return isinstance(tensor, ir.ExternalTensor)


def mapped(tensor: ir.ExternalTensor) -> Array:
    """The tensor's data without a copy; nothing is read from disk until entries are."""
    shape = tensor_shape(tensor)
    if tensor.dtype.bitwidth < 8 or tensor.size == 0:
        return np.asarray(tensor.numpy())
    state = Path(tensor.path).stat()
    whole = _map(str(tensor.path), state.st_ino, state.st_size, state.st_mtime_ns)
    start = tensor.offset or 0
    part: Array = whole[start : start + tensor.nbytes].view(tensor.dtype.numpy()).reshape(shape)
    return part


@lru_cache(maxsize=32)
def _map(path: str, inode: int, size: int, changed: int) -> npt.NDArray[Any]:
    """The file as bytes; its state is part of the key, for a name may come to mean another file."""
    return np.memmap(path, np.uint8, "r")
