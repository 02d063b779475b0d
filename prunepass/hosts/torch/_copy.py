"""A copy of the user's module that shares no tensor with it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ...ir import UnsupportedError

# What holds no tensor of the module: classes and code are shared by every copy.
_ATOMS = (str, bytes, int, float, complex, type(None), type, torch.dtype, torch.device)


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; tensors with a history (weights that a hook made for the last step) come without it.

    Raises:
        UnsupportedError: the module holds what cannot be copied.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _deep(model)
    except Exception as error:  # whatever a user's object raises when it is copied
        raise UnsupportedError(
            f"the module cannot be copied: {type(error).__name__}: {error}",
            advice="use inplace=True, which restores the module if anything fails",
        ) from error


def _deep(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except RuntimeError:
        # torch copies no tensor that autograd has made; which ones there are is only then worth a search.
        made = {id(each): each.detach().clone() for each in _tensors(model) if not each.is_leaf}
        if not made:
            raise
        return copy.deepcopy(model, dict(made))


def _tensors(root: object) -> Iterator[torch.Tensor]:
    """Every tensor that ``root`` reaches through attributes and collections."""
    waiting, seen = [root], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _ATOMS):
            continue
        seen.add(id(each))
        if isinstance(each, torch.Tensor):
            yield each
        waiting.extend(_held(each))


def _held(value: object) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    return list(getattr(value, "__dict__", {}).values())
