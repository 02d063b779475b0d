"""Operators evaluated by torch itself: undeclared ones, and constants computed in the user's source."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import fx

from ...ir import Array, is_float
from ._bind import concrete, is_symbolic, is_tensor, plain
from ._inputs import to_numpy


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for an operand in the arguments of a call."""

    index: int


def tensor_args(node: fx.Node) -> tuple[fx.Node, ...]:
    """The tensors that a call reads, in order of appearance, each once."""
    return tuple(read for read in node.all_input_nodes if is_tensor(read))


@dataclass(frozen=True)
class ForeignCall:
    """Runs one torch call on arrays, in double precision where the arrays are.

    Attributes:
        seed: of what it draws at random, so that it draws the same whenever it runs.
    """

    target: Callable[..., Any]
    args: Any
    kwargs: Any
    seed: int = 0

    def __call__(self, *arrays: Array | None) -> tuple[Array, ...]:
        """The results; an array for every tensor among them."""
        tensors = [None if array is None else torch.from_numpy(np.array(array)) for array in arrays]
        widen = any(tensor is not None and tensor.dtype == torch.float64 for tensor in tensors)
        args, kwargs = (_filled(given, tensors, widen) for given in (self.args, self.kwargs))
        with torch.no_grad(), torch.random.fork_rng([], enabled=is_random(self.target)):
            if is_random(self.target):
                torch.manual_seed(self.seed)
            made = self.target(*args, **kwargs)
        parts = made if isinstance(made, (list, tuple)) else [made]
        return tuple(to_numpy(part) for part in parts if isinstance(part, torch.Tensor))


def _filled(value: Any, tensors: Sequence[torch.Tensor | None], widen: bool) -> Any:
    if isinstance(value, Slot):
        return tensors[value.index]
    if isinstance(value, dict):
        return {key: _filled(item, tensors, widen) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(item, tensors, widen) for item in value)
    if widen and isinstance(value, torch.dtype) and is_float(str(value)):
        return torch.float64
    return torch.device("cpu") if isinstance(value, torch.device) else value


def template(node: fx.Node, value: Any, owner: fx.GraphModule | None = None) -> Any:
    """The arguments with operands as slots, sizes by their hints and subgraphs as modules.

    Args:
        owner: holds the subgraphs; the module that ``node`` belongs to where it is None.
    """
    reads = {read: index for index, read in enumerate(tensor_args(node))}

    def stand_in(read: fx.Node) -> Any:
        if read in reads:
            return Slot(reads[read])
        if read.op == "get_attr":
            return _attribute(owner or node.graph.owning_module, str(read.target))
        made = read.meta.get("val")
        if isinstance(made, (list, tuple)):
            return type(made)(concrete(item) for item in made)
        return concrete(made)

    return _plain_containers(fx.map_arg(value, stand_in))


def _plain_containers(value: Any) -> Any:
    """fx keeps arguments in immutable containers that operators do not all take."""
    if isinstance(value, dict):
        return {key: _plain_containers(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain_containers(item) for item in value)
    return [_plain_containers(item) for item in value] if isinstance(value, list) else value


def foreign_call(node: fx.Node) -> ForeignCall:
    """``node`` as a function of the arrays of its ``tensor_args``."""
    assert callable(node.target)
    seed = crc32(node.name.encode())
    return ForeignCall(node.target, template(node, node.args), template(node, node.kwargs), seed)


def is_random(target: Any) -> bool:
    """Return whether a torch operator draws at random."""
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


def other_arguments(node: fx.Node) -> tuple[Any, ...]:
    """Everything but the tensors among the arguments, as plain values that can be compared."""

    def walk(value: Any) -> Any:
        if isinstance(value, fx.Node):
            made = value.meta.get("val")
            opaque = is_tensor(value) or made is None or isinstance(made, (list, tuple))
            return "%" if opaque else plain(value)
        if isinstance(value, (list, tuple)):
            return tuple(walk(item) for item in value)
        return plain(value) if isinstance(value, _PLAIN) or value is None else str(type(value).__name__)

    return (walk(node.args), tuple((key, walk(value)) for key, value in sorted(node.kwargs.items())))


_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_PLAIN = (int, float, str, bool, torch.SymInt, torch.SymFloat, torch.SymBool, *_NAMED)


def _attribute(root: Any, path: str) -> Any:
    for part in path.split("."):
        root = getattr(root, part)
    return root


_WRITTEN = "prunepass_written"


def mark_written(gm: fx.GraphModule, own: Collection[str]) -> None:
    """Note which tensors the source writes out, ``torch.tensor([1, 2])``: all but the model's ``own``."""
    for node in gm.graph.find_nodes(op="get_attr"):
        node.meta[_WRITTEN] = str(node.target) not in own


def is_lifted(node: fx.Node) -> bool:
    """Return whether a ``get_attr`` node reads a tensor that the source writes out."""
    return bool(node.meta.get(_WRITTEN))


def tensor_attribute(gm: fx.GraphModule, node: fx.Node) -> torch.Tensor | None:
    """The tensor that a ``get_attr`` node reads, None where it reads something else."""
    found = _attribute(gm, str(node.target))
    return found if isinstance(found, torch.Tensor) else None


class Constants:
    """Nodes that depend on no input and no float tensor of the model: index tables, masks, ranges.

    They are computed when they are first wanted, and once. What reads a float weight or buffer is left in
    the graph, so that a cut of that tensor carries through, and so is what reads a symbolic size: computed
    once it would have the size of the examples for ever.
    """

    def __init__(self, gm: fx.GraphModule) -> None:
        self._gm = gm
        self._known: set[fx.Node] = set()
        self._made: dict[fx.Node, Any] = {}

    def __contains__(self, node: fx.Node) -> bool:
        return node in self._known

    def take(self, node: fx.Node) -> bool:
        """Return whether ``node`` is constant; nodes must be offered in the order of the graph."""
        if not self._is_constant(node):
            return False
        self._known.add(node)
        return True

    def _is_constant(self, node: fx.Node) -> bool:
        if node.op == "get_attr":
            tensor = tensor_attribute(self._gm, node)
            return tensor is not None and (is_lifted(node) or not tensor.is_floating_point())
        if node.op != "call_function" or not all(read in self._known for read in _data_args(node)):
            return False
        if not isinstance(node.target, torch._ops.OpOverload):
            return node.target is operator.getitem and bool(_data_args(node))
        if any(is_symbolic(read.meta.get("val")) for read in node.all_input_nodes):
            return False
        return not is_random(node.target) and not node.target._schema.is_mutable and _makes_tensors(node)

    def array(self, node: fx.Node, index: int | None = None) -> Array:
        """The value of a constant node, or of one of its results."""
        made = self._value(node)
        return to_numpy(made if index is None else made[index])

    def _value(self, node: fx.Node) -> Any:
        waiting = [node]
        while waiting:
            last = waiting[-1]
            missing = [read for read in _data_args(last) if read not in self._made]
            waiting.extend(missing)
            if not missing:
                waiting.pop()
                if last not in self._made:
                    self._made[last] = self._computed(last)
        return self._made[node]

    def _computed(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return tensor_attribute(self._gm, node)

        def read(arg: fx.Node) -> Any:
            return self._made[arg] if arg in self._made else concrete(arg.meta.get("val"))

        args, kwargs = fx.map_arg(node.args, read), fx.map_arg(node.kwargs, read)
        assert callable(node.target)
        with torch.no_grad():
            return node.target(*_plain_containers(args), **_plain_containers(kwargs))


def _data_args(node: fx.Node) -> list[fx.Node]:
    """Nodes that a call reads as tensors or lists of them."""
    kinds = (torch.Tensor, list, tuple)
    return [read for read in node.all_input_nodes if isinstance(read.meta.get("val"), kinds)]


def _makes_tensors(node: fx.Node) -> bool:
    made = node.meta.get("val")
    parts = made if isinstance(made, (list, tuple)) else [made]
    return bool(parts) and all(isinstance(part, torch.Tensor) for part in parts)
