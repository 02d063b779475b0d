"""Everything that a module holds, kept to be given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Kept:
    """What a module holds: tensors, flags, attributes, hooks, and the plain collections among them.

    Attributes:
        changes: attributes of any object that a replay has set, and what they were, in order.
    """

    def __init__(self, model: nn.Module) -> None:
        self.changes: list[tuple[Any, str, Any]] = []
        self._vars = [(module, dict(vars(module))) for module in model.modules()]
        held = [value for _, values in self._vars for value in values.values()]
        self._collections = [(value, _copied(value)) for value in held if type(value) in _COPIES]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers() if not buffer.is_meta]
        self._gradients = [(each, each.grad, each.requires_grad) for each in model.parameters()]

    def restore(self) -> None:
        """Give everything back; what is called twice changes nothing."""
        for owner, name, value in reversed(self.changes):
            setattr(owner, name, value)
        for module, values in self._vars:
            vars(module).clear()
            vars(module).update(values)
        for value, copy in self._collections:
            _refill(value, copy)
        for parameter, gradient, flag in self._gradients:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
        _write_back(self._buffers)


_COPIES = (dict, list, set, type(nn.Module()._forward_hooks))


def _copied(value: Any) -> Any:
    return value.copy()


def _refill(value: Any, copy: Any) -> None:
    value.clear()
    value.extend(copy) if isinstance(value, list) else value.update(copy)


def _write_back(buffers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    with torch.no_grad():
        for buffer, copy in buffers:
            if not torch.equal(buffer, copy):
                buffer.copy_(copy)


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Let a run of ``model`` change no buffer, in place or by a new one. What hooks compute may stay."""
    held = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    contents = [(buffer, buffer.detach().clone()) for buffer in model.buffers() if not buffer.is_meta]
    try:
        yield
    finally:
        for buffers, before in held:
            buffers.update(before)
        _write_back(contents)
