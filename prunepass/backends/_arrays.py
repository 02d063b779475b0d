"""Arrays in the form in which engines take them by their memory, and a type that numpy itself lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ir import BackendError

BFLOAT16 = "bfloat16"


def native(array: npt.ArrayLike) -> npt.NDArray[Any]:
    """``array`` in C order and the machine's byte order; the same memory where it is that already."""
    given = np.asarray(array)
    return np.asarray(given, dtype=given.dtype.newbyteorder("="), order="C")


def as_bits(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The memory of a bfloat16 array as 16-bit integers; other arrays as they are."""
    return array.view(np.uint16) if array.dtype.name == BFLOAT16 else array


def from_bits(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The memory of an array of 16-bit items as bfloat16.

    Raises:
        BackendError: the package ``ml_dtypes`` is missing.
    """
    try:
        import ml_dtypes
    except ImportError as error:
        what = f"bfloat16 results need ml_dtypes: {error}"
        raise BackendError(what, advice="install it with: pip install ml_dtypes") from error
    made: npt.NDArray[Any] = array.view(np.uint16).view(ml_dtypes.bfloat16)
    return made
