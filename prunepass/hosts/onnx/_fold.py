"""Evaluating what is constant: shape arithmetic on the way, anything else only where an attribute needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...ir import Array, Attrs, Call, Origin, Shape, registry
from ._ledger import Ledger, Site
from ._spell import Reading
from ._types import holds_sizes, numpy_dtype

FOREIGN = "foreign"


class Guide:
    """Values that a walk takes attributes and folded constants to be: here, as the model says."""

    def attrs(self, site: str, reading: Reading, shapes: tuple[Shape | None, ...]) -> Attrs:
        """Neutral attributes of a node."""
        return reading.neutral(shapes)

    def constant(self, name: str, array: Array) -> Array:
        """A value that was folded."""
        return array


def call_on(ledger: Ledger, name: str, operands: Sequence[str | None]) -> Call:
    """A node's call over what the ledger knows, without attributes."""
    tensors = [None if read is None else ledger.tensor(read) for read in operands]

    def known(position: int) -> Array | None:
        read = operands[position] if position < len(operands) else None
        return None if read is None else ledger.constant(read)

    shapes = tuple(None if tensor is None else tensor.shape for tensor in tensors)
    dtypes = tuple(None if tensor is None else tensor.dtype for tensor in tensors)
    return Call({}, shapes, dtypes, known, origin=Origin(name))


@dataclass(frozen=True, slots=True)
class Folder:
    """Evaluates nodes by their declarations; ``kept`` are results of the model, which stay what they are."""

    ledger: Ledger
    guide: Guide
    kept: frozenset[str]

    def fold(self, site: Site, call: Call, meta: frozenset[int]) -> bool:
        """Evaluate shape arithmetic; whether the node is no part of the graph any more.

        Args:
            meta: operands that are read for their shapes only.
        """
        if any(name in self.kept or not self._foldable(name) for name in site.outputs):
            return False
        arrays: list[Array | None] = []
        for i, name in enumerate(site.operands):
            array = None if name is None else self.ledger.sizes(name)
            if name is not None and array is None:
                if i not in meta:
                    return False
                array = self.ledger.blank(name)
            arrays.append(array)
        made = self._evaluate(site, call, tuple(arrays))
        for name, array in (made or {}).items():
            held = self.guide.constant(name, array)
            self.ledger.fold(name, held)
            # A table that a cut shortens: what reads it must see its new size.
            self.ledger.make(name, held.shape, self.ledger.values[name].dtype)
        return made is not None

    def _foldable(self, name: str) -> bool:
        value = self.ledger.values[name]
        if name in self.ledger.loose or not self.ledger.has_room(value.shape):
            return False
        return prod(value.shape) == 1 or holds_sizes(numpy_dtype(value.dtype))

    def known(self, name: str) -> Array | None:
        """Data of a constant, or of a value whose whole cone consists of constants."""
        held = self.ledger.constant(name)
        if held is None:
            held = self.ledger.forced.get(name)
        return self._forced(name) if held is None else held

    def _forced(self, name: str) -> Array | None:
        site = self.ledger.makers.get(name)
        if site is None or name in self.ledger.loose:
            return None
        if not all(self.ledger.has_room(self.ledger.values[out].shape) for out in site.outputs):
            return None
        arrays: list[Array | None] = []
        for read in site.operands:
            array = None if read is None else self.known(read)
            if read is not None and array is None:
                return None
            arrays.append(array)
        shapes = tuple(self.ledger.values[out].shape for out in site.outputs)
        call = call_on(self.ledger, site.name, site.operands)
        call = replace(call, attrs=site.attrs, results=shapes, foreign=site.runner)
        made = self._evaluate(site, call, tuple(arrays))
        self.ledger.forced.update(made or {})
        return None if made is None else made.get(name)

    def _evaluate(self, site: Site, call: Call, arrays: tuple[Array | None, ...]) -> dict[str, Array] | None:
        op = registry()[FOREIGN] if site.reading is None else site.reading.op
        if op.random(call.attrs):
            return None
        try:
            with np.errstate(all="ignore"):
                results = op.run(call, arrays)
        except Exception:  # what a declaration cannot do with these values stays a node
            return None
        types = [self.ledger.values[name] for name in site.outputs]
        return {
            value.name: np.asarray(array).astype(numpy_dtype(value.dtype)).reshape(value.shape)
            for value, array in zip(types, results, strict=False)
        }
