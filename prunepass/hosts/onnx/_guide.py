"""A walk over the half-cut model that knows what must come out, and notes where the model says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np

from ...ir import Array, Attrs, Graph, PrunepassError, Shape, is_float
from ._fold import Guide
from ._spell import Reading

_SINGLE = 2.0**-22
"""ONNX stores float attributes in single precision."""


@dataclass(frozen=True, slots=True)
class AttributeFix:
    """A node whose attributes must become ``want``; ``have`` is None where they make no sense any more."""

    site: str
    reading: Reading
    shapes: tuple[Shape | None, ...]
    have: Attrs | None
    want: Attrs


@dataclass(frozen=True, slots=True)
class ConstantFix:
    """A computed value that must go on being ``want``."""

    name: str
    have: Array
    want: Array


class Recorder(Guide):
    """Answers with what ``after`` holds, and keeps what has to be mended for the model to agree."""

    def __init__(self, after: Graph) -> None:
        self._nodes = {node.name: node for node in after.nodes}
        self._params = after.params
        self.attributes: list[AttributeFix] = []
        self.constants: list[ConstantFix] = []

    def attrs(self, site: str, reading: Reading, shapes: tuple[Shape | None, ...]) -> Attrs:
        node = self._nodes.get(site)
        if node is None or node.op != reading.op.name:
            return super().attrs(site, reading, shapes)
        have: Attrs | None
        try:
            have = reading.neutral(shapes)
        except PrunepassError:
            have = None
        if have is None or not same_attrs(have, node.attrs):
            self.attributes.append(AttributeFix(site, reading, shapes, have, node.attrs))
        return node.attrs

    def constant(self, name: str, array: Array) -> Array:
        param = self._params.get(name)
        if param is None:
            return array
        want = param.read().astype(array.dtype, copy=False)
        if not same_data(array, want):
            self.constants.append(ConstantFix(name, array, want))
        return want


def same_attrs(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Equality of attributes, arrays and sequences included."""
    return left.keys() == right.keys() and all(same_value(left[name], right[name]) for name in left)


def same_value(left: Any, right: Any) -> bool:
    """Equality of two plain values: lists equal tuples, floats are those of single precision."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return same_data(np.asarray(left), np.asarray(right))
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return isclose(left, right, rel_tol=_SINGLE) or left == right
    return bool(left == right)


def same_data(left: Array, right: Array) -> bool:
    """Equality of shape and entries; NaN equals NaN."""
    if left.shape != right.shape:
        return False
    equal = left == right
    if is_float(left.dtype.name) and is_float(right.dtype.name):
        equal = equal | ((left != left) & (right != right))
    return bool(np.all(equal))
