"""Names for the tensors of a graph under construction, none of them twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from ...ir import Param, Value
from ._bind import facts
from ._inputs import dtype_name, tensors_of, to_numpy


@dataclass
class Tensors:
    """Values and params by name.

    Attributes:
        own: the user's names of tensors of the module, each with the first name that the same tensor goes by.
    """

    own: Mapping[str, str]
    values: dict[str, Value] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)

    def value(self, name: str, made: torch.Tensor) -> str:
        """Add a value with the facts of ``made``; returns the name that it gets."""
        name = self.unique(name)
        self.values[name] = Value(name, *facts(made))
        return name

    def unique(self, name: str) -> str:
        """``name``, or one like it that nothing has."""
        while name in self.values or name in self.own or name in self.params:
            name += "_"
        return name

    def ordered(self) -> list[str]:
        """Params in the order of the user's state, then constants in the order of the graph."""
        own = dict.fromkeys(name for name in self.own.values() if name in self.params)
        return [*own, *(name for name in self.params if name not in own)]


def param_over(name: str, tensor: torch.Tensor) -> Param:
    """A param that reads the live ``tensor``."""
    source: Callable[[], Any] = lambda: to_numpy(tensor)  # noqa: E731
    return Param(name, tuple(tensor.shape), dtype_name(tensor.dtype), source)


def own_names(gm: fx.GraphModule) -> dict[str, str]:
    """Name of every tensor of the module -> the first name that the same tensor goes by."""
    first: dict[int, str] = {}
    named: dict[str, str] = {}
    for name, tensor in tensors_of(gm):
        named[name] = first.setdefault(id(tensor), name)
    return named
