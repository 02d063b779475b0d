"""Calls of torch operators, one for each node of a neutral graph, to be made on any tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import torch
from torch import fx

from ...ir import Graph, Node, UnsupportedError, registry
from ._bind import arguments, is_tensor, schema_of, spelled
from ._foreign import Slot, is_random, template, tensor_args
from ._rewrite import rewrite

_RESHAPE = torch.ops.aten.reshape.default
_VIEWS = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)

Tensors = Sequence["torch.Tensor | None"]


@dataclass(frozen=True, slots=True)
class Number:
    """Stands for an operand that torch wants as a number."""

    index: int


@dataclass
class TorchCall:
    """One call of an operator, with operands of the neutral node by position.

    Attributes:
        target: torch's operator.
        args, kwargs: its arguments, operands as slots and sizes as numbers.
        random: whether it draws, and so what: a number for the generator.
        own: positions of operands that belong to the model.
        writes: whether it writes into its operands; None as long as nobody knows.
    """

    target: Callable[..., Any]
    args: Any
    kwargs: Any
    random: int | None
    own: tuple[int, ...]
    writes: bool | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        # Most arguments are numbers that stay: they are not looked through at every call.
        self._open = [at for at, value in enumerate(self.args) if _is_open(value)]
        self._named = [name for name, value in self.kwargs.items() if _is_open(value)]

    def __call__(self, operands: Tensors, dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        """The results, and None for what is no tensor; operands stay as they are."""
        copied = range(len(operands)) if self.writes else self.own if self.writes is None else ()
        read = list(operands)
        for at in copied:
            tensor = read[at]
            read[at] = None if tensor is None else tensor.clone()
        made = self._made(_Filling(read, dtype, device))
        if self.writes is None:
            # No schema tells that a normalisation in training updates its statistics; their version does.
            self.writes = any(
                tensor is not None and tensor._version for tensor in (read[at] for at in copied)
            )
        parts = made if isinstance(made, (list, tuple)) else [read[0] if made is None else made]
        return tuple(part if isinstance(part, torch.Tensor) else None for part in parts)

    def _made(self, fill: _Filling) -> Any:
        args, kwargs = list(self.args), dict(self.kwargs)
        for at in self._open:
            args[at] = fill(args[at])
        for name in self._named:
            kwargs[name] = fill(kwargs[name])
        if self.random is None:
            return self.target(*args, **kwargs)
        with torch.random.fork_rng([]):
            torch.manual_seed(self.random)
            return self.target(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Filling:
    """Puts operands into arguments; floats are of one type and everything is on one device."""

    operands: Tensors
    dtype: torch.dtype
    device: torch.device

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Slot):
            return self.operands[value.index]
        if isinstance(value, Number):
            number = self.operands[value.index]
            return None if number is None else number.item()
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self(item) for item in value)
        if isinstance(value, torch.dtype):
            return self.dtype if value.is_floating_point else value
        return self.device if isinstance(value, torch.device) else value


def calls_of(gm: fx.GraphModule, before: Graph, after: Graph) -> dict[str, TorchCall]:
    """The calls that compute ``after``, by name of its nodes; those that torch cannot be asked for are left out.

    Left out are draws, which the declaration makes the same for a network and what a cut has left of it, what reads
    the memory and not the values of a tensor, what comes from another capture, and what no argument can express.

    Args:
        gm: what ``before`` was captured from.
        after: ``before``, cut or with other sizes.
    """
    graph, twins = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(gm.graph, twins)
    named = {node.name: twin for node, twin in twins.items() if node.op == "call_function"}
    olds = {node.name: node for node in before.nodes}
    found: dict[str, TorchCall] = {}
    for node in after.nodes:
        call = named.get(node.name)
        if call is None or node.name not in olds:
            continue
        if node.op != "foreign" and _moved(before, after, olds[node.name], node):
            shapes = tuple(None if name is None else after.tensor(name).shape for name in node.inputs)
            try:
                rewrite(call, node, shapes)
            except UnsupportedError:
                continue
        made = _foreign(gm, call, node) if node.op == "foreign" else _declared(call, node)
        if made is not None:
            made.own = tuple(at for at, name in enumerate(node.inputs) if name in after.params)
            found[node.name] = made
    return found


def _moved(before: Graph, after: Graph, old: Node, new: Node) -> bool:
    """Return whether attributes or the shape of an operand are others."""
    return old.attrs != new.attrs or any(
        name is not None and before.tensor(name).shape != after.tensor(name).shape for name in new.inputs
    )


def _declared(call: fx.Node, node: Node) -> TorchCall | None:
    found = spelled(call.target)
    if found is None or _reads_memory(call):
        return None
    bound, position, slots = arguments(call), 0, dict[str, Any]()
    for name in found[1].inputs:
        value = bound.get(name)
        items = value if isinstance(value, (list, tuple)) else [value]
        filled = [_slot(item, position + at) for at, item in enumerate(items)]
        slots[name] = filled if isinstance(value, (list, tuple)) else filled[0]
        position += len(items)
    others = {name: template(call, value) for name, value in bound.items() if name not in slots}
    if any(_is_open(value, (Slot,)) for value in others.values()):
        return None
    given = {**others, **slots}
    schema = schema_of(call).arguments
    args = [given[argument.name] for argument in schema if not argument.kwarg_only]
    kwargs = {argument.name: given[argument.name] for argument in schema if argument.kwarg_only}
    return _made(call, args, kwargs, random=registry()[node.op].random(node.attrs))


def _foreign(gm: fx.GraphModule, call: fx.Node, node: Node) -> TorchCall | None:
    if _reads_memory(call) or len(tensor_args(call)) != len(node.inputs):
        return None
    return _made(
        call, template(call, call.args, gm), template(call, call.kwargs, gm), random=is_random(call.target)
    )


def _made(call: fx.Node, args: Any, kwargs: Any, *, random: bool) -> TorchCall:
    assert callable(call.target)
    target = _RESHAPE if call.target in _VIEWS else call.target
    seed = crc32(call.name.encode()) if random else None
    mutable = isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable
    return TorchCall(target, args, kwargs, seed, (), True if mutable else None)


def _slot(value: Any, position: int) -> Any:
    if value is None:
        return None
    return Slot(position) if is_tensor(value) else Number(position)


def _is_open(value: Any, kinds: tuple[type, ...] = (Slot, Number, torch.dtype, torch.device)) -> bool:
    """Return whether something of one of these kinds is in an argument."""
    if isinstance(value, Mapping):
        return any(_is_open(item, kinds) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_open(item, kinds) for item in value)
    return isinstance(value, kinds)


def _reads_memory(call: fx.Node) -> bool:
    """Return whether the call depends on how its operand lies in memory."""
    return isinstance(call.target, torch._ops.OpOverload) and any(
        argument.name == "storage_offset" for argument in call.target._schema.arguments
    )
