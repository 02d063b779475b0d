"""Tensors among the outputs of a forward, in order, and outputs that torch's capture cannot carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ...ir import UnsupportedError

# What may stand among the results of an exported program; everything else must be left out.
_CARRIED = (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool, int, float, bool, str, type(None))


def output_tensors(made: Any) -> list[torch.Tensor]:
    """All tensors of ``made`` in order: in what torch's pytree knows, and in dataclasses and collections.

    An object of another type (a cache beside the logits) belongs to the module's caller and not to the graph.
    """
    return [leaf for leaf in _leaves(made) if isinstance(leaf, torch.Tensor)]


def _leaves(made: Any) -> Iterator[Any]:
    for leaf in pytree.tree_leaves(made):
        parts = _parts(leaf)
        if parts is None:
            yield leaf
        else:
            for part in parts:
                yield from _leaves(part)


def _parts(leaf: Any) -> list[Any] | None:
    """Entries of a collection that torch's pytree takes for one leaf; None for other leaves."""
    if is_dataclass(leaf) and not isinstance(leaf, type):
        return [getattr(leaf, each.name, None) for each in fields(leaf)]
    if isinstance(leaf, Mapping):
        return list(leaf.values())
    return list(leaf) if isinstance(leaf, (list, tuple)) else None


@contextmanager
def tensors_only(model: nn.Module) -> Iterator[None]:
    """Let ``model`` give a tuple of its tensors where it gives anything that a capture cannot carry.

    It is a hook on the module itself, so that names, paths and lines of what is captured stay the user's own.
    """
    hook = model.register_forward_hook(_carried)
    try:
        yield
    finally:
        hook.remove()


def _carried(module: nn.Module, inputs: Any, made: Any) -> Any:
    """The results of a module as a capture can carry them, None for as they are."""
    if all(isinstance(leaf, _CARRIED) for leaf in pytree.tree_leaves(made)):
        return None
    found = tuple(output_tensors(made))
    if not found:
        raise UnsupportedError(
            f"the model gives a {type(made).__name__}, in which there is no tensor that torch can find",
            advice="return tensors, or tuples, dicts or dataclasses of them",
        )
    return found
