"""Activations: one value of one batch, as a statistic sees it, whatever the host computes with.

Only what numpy arrays and torch tensors have in common is used: ``shape``, ``reshape``, ``sum``, ``swapaxes``,
indexing, arithmetic. What is added up over batches is added up in float64 on this side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ...ir import Array, UsageError

Tensor: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Activations:
    """One value of one batch.

    Attributes:
        tensor: the value, a tensor of the host.
        axis: the axis whose entries are told apart; all others are pooled.
        array: gives a tensor of the host as an array.
        samples: number of samples in the batch.
        along: the axis on which the samples lie, None where they cannot be told apart.
        labels: class of each sample, None where there are none.
        gradient: of the loss, of the tensor's shape; None where nobody asked for it.
        name: of the value.
    """

    tensor: Tensor
    axis: int
    array: Callable[[Tensor], Array] = np.asarray
    samples: int = 1
    along: int | None = 0
    labels: Array | None = None
    gradient: Tensor | None = None
    name: str = ""

    @property
    def entries(self) -> int:
        """Number of entries of the axis."""
        return int(self.tensor.shape[self.axis])

    @property
    def places(self) -> int:
        """Number of numbers that one entry has in the batch."""
        return int(prod(self.tensor.shape)) // max(self.entries, 1)

    def pooled(self, tensor: Tensor | None = None) -> Tensor:
        """The value, or one of its shape, as (before, entries, behind)."""
        shape = self.tensor.shape
        whole = self.tensor if tensor is None else tensor
        return whole.reshape(prod(shape[: self.axis]), self.entries, prod(shape[self.axis + 1 :]))

    def numbers(self, tensor: Tensor) -> Array:
        """A tensor of the host in float64."""
        return np.asarray(self.array(tensor), dtype=np.float64)

    def by_sample(self, tensor: Tensor) -> Array:
        """Sums of a tensor of the value's shape over all but samples and entries: (samples, entries)."""
        if self.samples == 1:
            return self.numbers(self.pooled(tensor).sum(axis=(0, 2)))[None]
        along, shape = self._along(), self.tensor.shape
        each = (self.samples, shape[along] // self.samples)
        first, last = sorted((along, self.axis))
        middle = prod(shape[first + 1 : last])
        front, back = prod(shape[:first]), prod(shape[last + 1 :])
        if along < self.axis:
            split = tensor.reshape(front, *each, middle, self.entries, back)
            return self.numbers(split.sum(axis=(0, 2, 3, 5)))
        split = tensor.reshape(front, self.entries, middle, *each, back)
        return self.numbers(split.sum(axis=(0, 2, 4, 5)).swapaxes(0, 1))

    def of(self, rows: Array) -> Activations:
        """Those of some samples, by their numbers."""
        if len(rows) == self.samples:
            return self
        along = self._along()
        each = self.tensor.shape[along] // self.samples
        index = [int(row) * each + i for row in rows for i in range(each)]
        at = (slice(None),) * along + (index,)
        gradient = None if self.gradient is None else self.gradient[at]
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, tensor=self.tensor[at], samples=len(rows), labels=labels, gradient=gradient)

    def _along(self) -> int:
        if self.along is None or self.along == self.axis or self.tensor.shape[self.along] % self.samples:
            raise UsageError(
                f"the samples of a batch cannot be told apart in '{self.name}'",
                advice="give batches of one sample, or a statistic that pools them",
            )
        return self.along
