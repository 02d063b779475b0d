"""Scaled dot-product attention on arrays of shape ``(.., heads, positions, features)``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._elementary import softmax
from ._graph import Array, Shape


@dataclass(frozen=True, slots=True)
class Attend:
    """Operands of attention once heads are an axis of their own.

    Attributes:
        query, key, value: key and value may have fewer heads, each then serves several in a row.
        scale: factor on the products of query and key.
        mask: bool (False is left out) or added to the products; None is none.
        cap: the products are bounded to +-cap by a tanh; 0 is no bound.
        causal: query i reads keys up to i + offset, offset a number or one per sample.
        lengths: keys that count, one number per sample; None is all.
    """

    query: Array
    key: Array
    value: Array
    scale: float
    mask: Array | None = None
    cap: float = 0.0
    causal: bool = False
    offset: int = 0
    lengths: Array | None = None

    @property
    def shared(self) -> int:
        """Number of query heads that each key and value head serves."""
        return self.query.shape[-3] // self.key.shape[-3] if self.query.ndim > 2 else 1

    def repeated(self) -> Attend:
        """The same with a key and value head for every query head."""
        if self.shared <= 1:
            return self
        key, value = (np.repeat(array, self.shared, axis=-3) for array in (self.key, self.value))
        return replace(self, key=key, value=value)

    def products(self) -> Array:
        """Query times key, scaled, of shape ``(.., heads, queries, keys)``."""
        full = self.repeated()
        return np.asarray(np.matmul(full.query, full.key.swapaxes(-1, -2)) * self.scale)

    def capped(self, products: Array) -> Array:
        return np.asarray(np.tanh(products / self.cap) * self.cap) if self.cap else products

    def masked(self, products: Array) -> Array:
        """Minus infinity where a query may not look."""
        keys = products.shape[-1]
        if self.mask is not None:
            products = products + _bias(self.mask, keys)
        if self.causal:
            products = np.where(self._reachable(products.shape), products, -np.inf)
        if self.lengths is not None:
            counted = np.arange(keys) < self.lengths.reshape(-1, 1, 1, 1)
            products = np.where(counted, products, -np.inf)
        return products

    def _reachable(self, shape: Shape) -> Array:
        queries, keys = np.arange(shape[-2])[:, None], np.arange(shape[-1])
        if self.lengths is None:
            return np.asarray(keys <= queries + self.offset)
        return np.asarray(keys <= queries + self.lengths.reshape(-1, 1, 1, 1) - shape[-2])

    def weights(self) -> Array:
        """Attention weights of each query over the keys; zeros where everything is masked."""
        return softmax(self.masked(self.capped(self.products())), (-1,))

    def result(self) -> Array:
        return np.asarray(np.matmul(self.weights(), self.repeated().value))


def _bias(mask: Array, keys: int) -> Array:
    """The bias on the products; keys beyond the mask are left out."""
    if mask.dtype == np.bool_:
        mask = np.where(mask, 0.0, -np.inf)
    missing = keys - mask.shape[-1] if mask.shape[-1] > 1 else 0
    padding = [(0, 0)] * (mask.ndim - 1) + [(0, max(missing, 0))]
    return np.pad(mask, padding, constant_values=-np.inf) if missing > 0 else mask


def split_heads(array: Array, heads: int) -> Array:
    """``(batch, positions, heads * features)`` as ``(batch, heads, positions, features)``."""
    batch, positions, features = array.shape
    apart: Array = array.reshape(batch, positions, heads, features // max(heads, 1)).swapaxes(1, 2)
    return apart


def merge_heads(array: Array) -> Array:
    """The reverse of ``split_heads``."""
    batch, heads, positions, features = array.shape
    merged: Array = array.swapaxes(1, 2).reshape(batch, positions, heads * features)
    return merged


def fold(array: Array, shape: Shape) -> Array:
    """Sum what broadcasting and repeated heads made of ``shape``."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    if len(shape) > 2 and shape[-3] > 1 and array.shape[-3] != shape[-3]:
        grouped = (*array.shape[:-3], shape[-3], array.shape[-3] // shape[-3], *array.shape[-2:])
        array = array.reshape(grouped).sum(axis=-3)
    axes = tuple(i for i, (have, want) in enumerate(zip(array.shape, shape, strict=True)) if have != want)
    return np.asarray(array.sum(axis=axes, keepdims=True))
