"""Everything that a module holds, kept to be given back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Kept:
    """State of a module: tensors, gradients, flags, attributes and hooks.

    Attributes:
        changes: attributes of any object that a replay has set, and what they were, in order.
    """

    def __init__(self, model: nn.Module) -> None:
        self.changes: list[tuple[Any, str, Any]] = []
        self._attributes = _Attributes(model)
        self._contents = _Contents(model)
        self._gradients = [(each, each.grad, each.requires_grad) for each in model.parameters()]

    def restore(self) -> None:
        """Give everything back; to do so twice changes nothing."""
        for owner, name, value in reversed(self.changes):
            setattr(owner, name, value)
        self._attributes.restore()
        for parameter, gradient, flag in self._gradients:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
        self._contents.restore()


class _Attributes:
    """The attributes of every module, and what the plain collections among them hold."""

    _KINDS = (dict, OrderedDict, list, set)

    def __init__(self, model: nn.Module) -> None:
        self._held = [(module, dict(vars(module))) for module in model.modules()]
        values = [value for _, held in self._held for value in held.values()]
        self._collections = [(value, value.copy()) for value in values if type(value) in self._KINDS]

    def restore(self) -> None:
        """Touch only what has changed: others may be running the module meanwhile."""
        for module, held in self._held:
            now = vars(module)
            for name in now.keys() - held.keys():
                del now[name]
            for name, value in held.items():
                if name not in now or now[name] is not value:
                    now[name] = value
        for value, copy in self._collections:
            if not _same(value, copy):
                value.clear()
                value.extend(copy) if isinstance(value, list) else value.update(copy)


def _same(one: Any, other: Any) -> bool:
    """Return whether two collections hold the same objects in the same order."""
    pairs = [
        each.items() if isinstance(each, dict) else [(item, None) for item in each] for each in (one, other)
    ]
    first, second = ([(id(key), id(value)) for key, value in found] for found in pairs)
    return first == second


class _Contents:
    """The data of every buffer."""

    def __init__(self, model: nn.Module) -> None:
        self._held = [(each, each.detach().clone()) for each in model.buffers() if not each.is_meta]

    def restore(self) -> None:
        with torch.no_grad():
            for buffer, copy in self._held:
                if not torch.equal(buffer, copy):
                    buffer.copy_(copy)


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """Let a capture of ``model`` leave every attribute as the very object that it was."""
    held = _Attributes(model)
    try:
        yield
    finally:
        held.restore()


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Let a run of ``model`` change no buffer, in place or by a new one. What hooks compute may stay."""
    held = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    contents = _Contents(model)
    try:
        yield
    finally:
        for buffers, before in held:
            buffers.update(before)
        contents.restore()
