"""Running a captured graph with torch's own operators."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from ...ir import (
    Array,
    Graph,
    Loss,
    Node,
    Param,
    Slices,
    Spot,
    StepExecutor,
    UnsupportedError,
    UsageError,
    Walk,
    plain_step,
    run_step,
)
from ._calls import calls_of
from ._inputs import tensors_of, to_numpy

Tensor = torch.Tensor


class TorchExecutor(StepExecutor):
    """Runs a graph by the calls of the program that it was captured from, on the model's own tensors.

    What the program cannot be asked for is run by its declaration, draws among it, so that they are the same whenever
    they are made. The user's module stays as it is; no gradients are recorded.
    """

    def __init__(self, program: fx.GraphModule, before: Graph, graph: Graph, dtype: str = "float32") -> None:
        """``graph`` is ``before``, which was captured from ``program``, or what a cut has made of it."""
        super().__init__(graph, dtype)
        self._program, self._before = program, before
        self._dtype: torch.dtype = getattr(torch, dtype)
        live = dict(tensors_of(program))
        self._device = next((tensor.device for tensor in live.values()), torch.device("cpu"))
        self._live = {name: live[name] for name, param in graph.params.items() if self._is_live(param, live)}
        self._made = dict[str, Tensor]()
        self._calls = calls_of(program, before, graph)

    def _is_live(self, param: Param, live: Mapping[str, Tensor]) -> bool:
        """Return whether the param's data is a tensor of the model as it is."""
        if param.name not in live or param.source is not self._before.params[param.name].source:
            return False
        return tuple(live[param.name].shape) == param.shape

    def at(self, graph: Graph) -> TorchExecutor:
        return type(self)(self._program, self._before, graph, self.dtype)

    def tensor(self, array: Any) -> Tensor:
        if not isinstance(array, torch.Tensor):
            data = np.asarray(array)
            if data.dtype.kind == "V" or data.dtype.name in ("bfloat16", "float16"):
                data = data.astype(np.float32)
            array = torch.from_numpy(data if data.flags.writeable else data.copy())
        return self._typed(array.detach())

    def _typed(self, tensor: Tensor) -> Tensor:
        """Floats in the one type, all on the model's device."""
        dtype = self._dtype if tensor.is_floating_point() else tensor.dtype
        device = tensor.device if tensor.ndim == 0 else self._device
        if dtype is tensor.dtype and device == tensor.device:
            return tensor
        return tensor.to(device=device, dtype=dtype)

    def array(self, tensor: Tensor) -> Array:
        return to_numpy(tensor)

    def param(self, name: str) -> Tensor:
        if name in self._live:
            return self._typed(self._live[name].detach())
        if name not in self._made:
            self._made[name] = self.tensor(self.graph.params[name].read())
        return self._made[name]

    def step(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        call = self._calls.get(node.name)
        with torch.no_grad():
            if call is None or call.random is not None:
                return self._by_declaration(node, operands)
            return self._called(node, operands)

    def _called(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        try:
            made = self._calls[node.name](operands, self._dtype, self._device)
        except Exception as error:  # torch raises dozens of types
            raise UnsupportedError(
                f"'{node.op}' could not be run: {type(error).__name__}: {error}",
                where=f"{node.name} ({node.origin})",
            ) from error
        return tuple(None if part is None else self._typed(part) for part in made)

    def _by_declaration(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        arrays = tuple(None if tensor is None else to_numpy(tensor) for tensor in operands)
        return tuple(self.tensor(array) for array in run_step(plain_step, self.graph, node, arrays))

    def masked(self, tensor: Tensor, mask: Tensor) -> Tensor:
        zero = torch.zeros((), dtype=tensor.dtype, device=tensor.device)
        return torch.where(mask == 0, zero, (tensor * mask).to(tensor.dtype))

    def join(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(list(parts), axis)

    def gradients(
        self, given: Mapping[str, Any], *, wanted: Collection[Spot], loss: Loss
    ) -> Iterator[tuple[Spot, Tensor, Tensor]]:
        """Yield ``(name, value, gradient)``, see :class:`prunepass.ir.Executor`."""
        names = [spot for spot in wanted if isinstance(spot, str)]
        walk = self.checked(given, (*names, *self.graph.outputs))
        other = self.fitting(walk)
        slices = other if isinstance(other, Slices) else None
        plain = other if isinstance(other, TorchExecutor) else self
        return _Recording(plain, frozenset(wanted)).recorded(walk, slices, loss)


class _Recording(TorchExecutor):
    """The same with gradients recorded from the wanted values on."""

    def __init__(self, plain: TorchExecutor, wanted: frozenset[Spot]) -> None:
        vars(self).update(vars(plain))
        self._wanted = wanted
        self._single = dict[Spot, list[Tensor]]()

    def step(self, node: Node, operands: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        operands = [self._noted((node.name, at), tensor) for at, tensor in enumerate(operands)]
        if node.name in self._calls:
            with torch.enable_grad():
                return self._called(node, operands)
        recorded = any(tensor is not None and tensor.requires_grad for tensor in operands)
        made = self._by_declaration(node, operands)
        if recorded and any(tensor is not None and tensor.is_floating_point() for tensor in made):
            raise UnsupportedError(f"'{node.op}' has no gradient here", where=f"{node.name} ({node.origin})")
        return made

    def _results(self, node: Node, made: Mapping[str, Tensor], walk: Walk) -> dict[str, Tensor]:
        return {name: self._leaf(name, tensor) for name, tensor in super()._results(node, made, walk).items()}

    def _leaf(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor as a leaf of autograd where it is wanted and has no history."""
        if name not in self._wanted or tensor.requires_grad or not tensor.is_floating_point():
            return tensor
        return tensor.detach().requires_grad_()

    def _noted(self, read: tuple[str, int], tensor: Tensor | None) -> Tensor | None:
        """The tensor of a wanted read: the same numbers, whose gradient comes from this read alone."""
        if tensor is None or read not in self._wanted or not tensor.is_floating_point():
            return tensor
        with torch.enable_grad():
            alone = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
        self._single.setdefault(read, []).append(alone)
        return alone

    def recorded(
        self, walk: Walk, slices: Slices | None, loss: Loss
    ) -> Iterator[tuple[Spot, Tensor, Tensor]]:
        """Run ``walk``, take the loss, and yield values with their derivatives."""
        parts: dict[Spot, list[Tensor]] = {}
        inputs = {node.name: node.inputs for node in self.graph.nodes}
        for given in [walk.given] if slices is None else slices.parts(walk.given):
            leaves = {name: self._leaf(name, tensor) for name, tensor in given.items()}
            for name, tensor in self.steps(Walk(walk.schedule, leaves, walk.wanted)):
                parts.setdefault(name, []).append(tensor)

        def whole(spot: Spot, pieces: Sequence[Tensor]) -> Tensor:
            name = spot if isinstance(spot, str) else str(inputs[spot[0]][spot[1]])
            return pieces[0] if slices is None else slices.joined(name, pieces, self.join)

        with torch.enable_grad():
            number = loss([whole(name, parts[name]) for name in self.graph.outputs])
        parts.update(self._single)
        spots = [spot for spot in parts if spot in self._wanted and parts[spot][0].requires_grad]
        found = _derivatives(number, [tensor for spot in spots for tensor in parts[spot]])
        for spot in spots:
            pieces = [next(found) for _ in parts[spot]]
            yield spot, whole(spot, parts[spot]).detach(), whole(spot, pieces)


def _derivatives(number: Any, leaves: Sequence[Tensor]) -> Iterator[Tensor]:
    """The derivative of ``number`` by each of the ``leaves``; 0 where it does not depend on one."""
    if not isinstance(number, torch.Tensor) or number.numel() != 1:
        raise UsageError("the loss is no single number", advice="let it return a torch tensor with one entry")
    if not leaves or not number.requires_grad:
        raise UsageError(
            "the loss has no gradient at the wanted values",
            advice="compute it from the outputs that it is given, with torch, and without detach or numpy",
        )
    with torch.enable_grad():
        found = torch.autograd.grad(number.sum(), list(leaves), materialize_grads=True)
    yield from found
