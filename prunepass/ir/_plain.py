"""Raw attributes as hosts hand them over (numbers, lists, arrays, bytes) made plain for ``fix``."""

from __future__ import annotations

from typing import Any

import numpy as np


def integers(value: Any) -> tuple[int, ...]:
    """A number, list or array of whole numbers as a flat tuple; None is empty."""
    return () if value is None else tuple(int(item) for item in np.ravel(np.asarray(value)).tolist())


def floats(value: Any) -> tuple[float, ...]:
    """A number, list or array as a flat tuple of floats; None is empty."""
    return () if value is None else tuple(float(item) for item in np.ravel(np.asarray(value)).tolist())


def word(value: Any) -> str:
    """A text attribute: ONNX stores bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def axis_of(value: Any, rank: int) -> int:
    """One axis, counted from the front; a 0-d array counts as one axis."""
    return integers(value)[0] % max(rank, 1)


def all_axes(value: Any, rank: int) -> tuple[int, ...]:
    """Distinct axes in ascending order, counted from the front; nothing given means all."""
    axes = {axis % rank for axis in integers(value)} if rank else set()
    return tuple(sorted(axes)) if axes else tuple(range(rank))


def host_facts(attrs: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """``attrs`` without what an ONNX host adds for ``fix`` to see, the opset, and the number of outputs."""
    plain = {name: value for name, value in attrs.items() if name not in ("opset", "outputs")}
    return plain, int(attrs.get("opset", 10**6)), int(attrs.get("outputs", 1))
