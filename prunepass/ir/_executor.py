"""Executors: run a graph from any of its values to any others, on its host or in numpy.

Passes know the protocol; every host computes with its own operators, :class:`NumpyExecutor` with the declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from ._errors import UnsupportedError
from ._evaluate import cast, plain_step, run_step
from ._graph import Array, Graph, Node
from ._stepping import Masks, StepExecutor

Tensor: TypeAlias = Any
"""What a host computes with: a numpy array, a torch tensor."""

Spot: TypeAlias = "str | tuple[str, int]"
"""A value by its name, or one read of it: a node and the position of its operand."""

Loss: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


class Executor(Protocol):
    """Runs one graph; values and params go by the graph's own names."""

    @property
    def graph(self) -> Graph:
        """The graph that is run."""
        ...

    def walk(
        self,
        given: Mapping[str, Tensor],
        *,
        wanted: Collection[str],
        params: Mapping[str, Array] | None = None,
        masks: Masks | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield ``(name, tensor)`` of each wanted value as it is made; only what they need is run.

        Values are freed after their last reader. Floats are in the executor's one type. Treat tensors as read-only:
        they may be the model's own.

        Args:
            given: inputs, or any values (a frontier). They may hold any number of samples; what has the shape of
                the capture is the same for all of them.
            params: replaces the data of these params.
            masks: ``(node, operand position)`` -> what that read is multiplied by. What is multiplied by 0 is 0.

        Raises:
            UsageError: an input is missing, a name is not known, shapes do not fit.
            UnsupportedError: a node cannot be run, or not with so many samples.
        """
        ...

    def gradients(
        self, given: Mapping[str, Tensor], *, wanted: Collection[Spot], loss: Loss
    ) -> Iterator[tuple[Spot, Tensor, Tensor]]:
        """Yield ``(name, value, gradient)`` of ``loss(outputs)`` at each wanted value.

        Args:
            wanted: names of values; or ``(node, operand position)``, for the gradient that comes from that read alone.
            loss: of the tensors of ``graph.outputs``, in order; gives one number.

        Raises:
            UnsupportedError: the host computes no gradients.
            UsageError: the loss is no single number, or nothing wanted has part in it.
        """
        ...

    def array(self, tensor: Tensor) -> Array:
        """``tensor`` as a numpy array."""
        ...

    def tensor(self, array: Array) -> Tensor:
        """``array`` as a tensor of the host, floats in the executor's type."""
        ...


class NumpyExecutor(StepExecutor):
    """Runs the declarations: the reference, slower than any host."""

    def at(self, graph: Graph) -> NumpyExecutor:
        return NumpyExecutor(graph, self.dtype)

    def gradients(
        self, given: Mapping[str, Tensor], *, wanted: Collection[Spot], loss: Loss
    ) -> Iterator[tuple[Spot, Tensor, Tensor]]:
        """Always refused: declarations have no derivatives."""
        raise no_gradients(self.graph)

    def tensor(self, array: Any) -> Array:
        return cast(array, self.dtype)

    def array(self, tensor: Tensor) -> Array:
        return np.asarray(tensor)

    def param(self, name: str) -> Array:
        return cast(self.graph.params[name].read(), self.dtype)

    def step(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        made = run_step(plain_step, self.graph, node, tuple(operands))
        return tuple(cast(array, self.dtype) for array in made)

    def masked(self, tensor: Tensor, mask: Tensor) -> Array:
        with np.errstate(all="ignore"):
            made = np.where(mask == 0, 0, tensor * mask)
        return np.asarray(made.astype(tensor.dtype, copy=False))

    def join(self, parts: Sequence[Tensor], axis: int) -> Array:
        return np.concatenate(list(parts), axis)


def no_gradients(graph: Graph) -> UnsupportedError:
    """The error of an executor without derivatives."""
    return UnsupportedError(
        "gradients are computed by torch alone", where=graph.name, advice="capture the torch module instead"
    )
