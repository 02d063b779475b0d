"""Decomposition of one exported call: its plain operators, found by running it by itself.

The call runs on the fake tensors that the export left, with torch's own decompositions, and what it consists of is
noted. What a call does depends on nothing but its operands; so these are the operators that torch's own pass over
the whole program would write in its place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ...ir import registry
from ._bind import target_name

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
# Operators that torch says may alias or write whatever their schema says.
_UNSAFE = getattr(torch.Tag, "maybe_aliasing_or_mutating", None)
# What moves or copies entries and computes nothing.
_MOVES = frozenset(
    {
        torch.ops.aten.view.default,
        torch.ops.aten._unsafe_view.default,
        torch.ops.aten.clone.default,
        torch.ops.aten.alias.default,
        torch.ops.aten.detach.default,
    }
)


class Unclear(Exception):  # noqa: N818 - no error: the long way is taken
    """Only torch's own pass tells what a call becomes."""


@dataclass(frozen=True)
class Ref:
    """A tensor in the parts of a call: its operand ``index``, or what an earlier part makes, or one of that."""

    index: int
    part: bool
    item: int | None = None


@dataclass(frozen=True)
class Part:
    """One plain operator among those that a call becomes, with references in the place of tensors."""

    target: Any
    args: Any
    kwargs: Any
    made: Any


@dataclass(frozen=True)
class Parts:
    parts: tuple[Part, ...]
    result: Any


def writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _overload(target: torch._ops.OpOverload) -> str:
    name = target._schema.overload_name
    return f".{name}" if name else ""


def is_composite(target: torch._ops.OpOverload) -> bool:
    return bool(
        torch._C._dispatch_has_kernel_for_dispatch_key(target._schema.name + _overload(target), _COMPOSITE)
    )


def _stays_whole(target: torch._ops.OpOverload) -> bool:
    """Return whether a declared operator is one that torch's own pass leaves as it is.

    It takes composites apart whose result may be their operand, or that may write.
    """
    schema = target._schema
    if schema.is_mutable or (_UNSAFE is not None and _UNSAFE in target.tags):
        return False
    if registry().aten(target_name(target)) is None:
        return False
    return not (is_composite(target) and any(one.alias_info is not None for one in schema.arguments))


class Calls:
    """Decompositions of calls; of calls that decompose alike one is run."""

    def __init__(self) -> None:
        self._known: dict[Any, Parts] = {}

    def parts(self, node: fx.Node) -> Parts | None:
        """The decomposition of a call, None where it stays.

        Raises:
            Unclear: it cannot be told.
        """
        if node.target is operator.getitem:
            return None
        target, made = node.target, node.meta.get("val")
        if not isinstance(target, torch._ops.OpOverload):
            raise Unclear
        if made is None:
            if target._schema.returns or target._schema.is_mutable:
                raise Unclear
            return None
        if _stays_whole(target):
            return None
        if _is_renamed(node):
            found = self._run(node, sizes=False)
            if len(found.parts) == 1 and isinstance(found.result, Ref) and found.result.part:
                return _of_size(found, found.result, made)
        return self._run(node, sizes=True)

    def _run(self, node: fx.Node, *, sizes: bool) -> Parts:
        key = _key(node, sizes=sizes)
        if key not in self._known:
            target: Any = node.target
            self._known[key] = _run(node, _without_write(target) if writes(node) else target)
        return self._known[key]


def _is_renamed(node: fx.Node) -> bool:
    """Return whether a declared operator makes a tensor of its own, and still decomposes, into the same operator by
    another name: which one is told by its flags and by which operands there are, whatever their sizes.
    """
    target: Any = node.target
    if target._schema.is_mutable or registry().aten(target_name(target)) is None:
        return False
    storages = {storage for read in node.all_input_nodes for storage in storages_of(read)}
    return isinstance(node.meta.get("val"), torch.Tensor) and not storages & set(storages_of(node))


def _of_size(found: Parts, result: Ref, made: torch.Tensor) -> Parts:
    """The one part of another call of the same kind, making ``made``."""
    (part,) = found.parts
    whole = made if result.item is None else tuple(made for _ in part.made)
    return Parts((Part(part.target, part.args, part.kwargs, whole),), result)


def storages_of(node: Any) -> list[int]:
    """Identities of the memory of what a node makes."""
    made = node.meta.get("val") if isinstance(node, fx.Node) else None
    leaves = made if isinstance(made, (list, tuple)) else [made]
    return [leaf.untyped_storage()._cdata for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _key(node: fx.Node, *, sizes: bool) -> Any:
    """Equal for calls that become the same parts."""
    seen: dict[fx.Node, int] = {}

    def facts(value: Any) -> Any:
        if isinstance(value, fx.Node):
            known = seen.setdefault(value, len(seen))
            leaves = pytree.tree_leaves(value.meta.get("val"))
            return known, tuple(
                ((leaf.shape, leaf.stride()) if sizes else leaf.dim(), leaf.dtype, leaf.device)
                if isinstance(leaf, torch.Tensor)
                else repr(leaf)
                for leaf in leaves
            )
        if isinstance(value, (list, tuple)):
            return tuple(facts(item) for item in value)
        if isinstance(value, dict):
            return tuple((name, facts(item)) for name, item in value.items())
        return type(value), repr(value)

    return node.target, facts(node.args), facts(node.kwargs)


def _without_write(target: torch._ops.OpOverload) -> torch._ops.OpOverload:
    """``add.Tensor`` for ``add_.Tensor``: the operator that makes what the other one writes to its first operand."""
    schema = target._schema
    written = [place for place, one in enumerate(schema.arguments) if one.alias_info is not None]
    name = schema.name.partition("::")[2]
    space = getattr(torch.ops, schema.name.partition("::")[0])
    found = getattr(getattr(space, name.removesuffix("_"), None), schema.overload_name or "default", None)
    if written != [0] or not name.endswith("_") or not isinstance(found, torch._ops.OpOverload):
        raise Unclear
    names = [[one.name for one in each.arguments[1:]] for each in (schema, found._schema)]
    if found._schema.is_mutable or names[0] != names[1]:
        raise Unclear
    return found


def _run(node: fx.Node, target: torch._ops.OpOverload) -> Parts:
    """Run one call on its tensors and note the plain operators that it consists of."""
    reads: list[torch.Tensor] = []

    def fake(read: fx.Node) -> Any:
        value = read.meta.get("val")
        reads.extend(leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor))
        return value

    args, kwargs = fx.map_arg(node.args, fake), fx.map_arg(node.kwargs, fake)
    if not reads or any(not _is_static(leaf) for leaf in reads):
        raise Unclear
    mode = getattr(reads[0], "fake_mode", None) or nullcontext()
    noted = _Noted(reads)
    try:
        with torch.no_grad(), mode:
            result = noted.run(target, _lists(args), _lists(kwargs))
    except Unclear:
        raise
    except Exception as error:  # fake kernels raise whatever they like; torch's own pass may know better
        raise Unclear from error
    if _facts(result) != _facts(node.meta["val"]):
        raise Unclear
    return Parts(*_needed(noted.parts, noted.refs(result)))


def _is_static(leaf: torch.Tensor) -> bool:
    return all(type(size) is int for size in (*leaf.shape, *leaf.stride()))


def _lists(value: Any) -> Any:
    """fx keeps arguments in immutable containers that operators do not all take."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_lists(item) for item in value)
    return [_lists(item) for item in value] if isinstance(value, list) else value


def _facts(made: Any) -> list[Any]:
    leaves = pytree.tree_leaves(made)
    return [(leaf.shape, leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


class _Noted(TorchDispatchMode):  # type: ignore[no-untyped-call] # of torch's base class
    """Notes the plain operators below one call; those that no declaration knows are taken apart."""

    def __init__(self, reads: list[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parts: list[Part] = []
        self._held = list(reads)
        self._known = {id(leaf): Ref(index, part=False) for index, leaf in enumerate(reads)}

    def run(self, target: torch._ops.OpOverload, args: Any, kwargs: Any) -> Any:
        if _stays_whole(target):  # a write became a declared operator
            return self._note(target, args, kwargs, target(*args, **kwargs))
        with enable_python_dispatcher(), self:
            return target(*args, **kwargs)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        taken_apart = None if _stays_whole(func) else _decompositions().get(func)
        if taken_apart is not None:
            with self:
                made = taken_apart(*args, **given)
            if made is not NotImplemented:
                return made
        return self._note(func, args, given, func(*args, **given))

    def _note(self, func: Any, args: Any, kwargs: Any, made: Any) -> Any:
        leaves = pytree.tree_leaves(made)
        if any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            if func._schema.is_mutable:
                raise Unclear
            self.parts.append(Part(func, self.refs(args), self.refs(kwargs), made))
            place, several = len(self.parts) - 1, isinstance(made, (list, tuple))
            for item, leaf in enumerate(leaves):
                self._known.setdefault(id(leaf), Ref(place, True, item if several else None))
            self._held += leaves
        return made

    def refs(self, value: Any) -> Any:
        """``value`` with references in the place of tensors."""

        def ref(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            if id(leaf) not in self._known:
                raise Unclear
            return self._known[id(leaf)]

        return pytree.tree_map(ref, value)


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """The table of torch's decompositions; slow to make."""
    from torch._decomp import _core_aten_decompositions_post_autograd

    made: dict[Any, Callable[..., Any]] = _core_aten_decompositions_post_autograd()
    return made


def _needed(parts: list[Part], result: Any) -> tuple[tuple[Part, ...], Any]:
    """The parts that the result is made of.

    Raises:
        Unclear: more than one of them computes: torch might have stopped at a composite between.
    """
    wanted = {ref.index for ref in _refs(result)}
    for place in range(len(parts) - 1, -1, -1):
        if place in wanted:
            wanted.update(ref.index for ref in _refs((parts[place].args, parts[place].kwargs)))
    if sum(parts[place].target not in _MOVES for place in wanted) > 1:
        raise Unclear
    order = {place: index for index, place in enumerate(sorted(wanted))}

    def moved(value: Any) -> Any:
        return pytree.tree_map_only(
            Ref, lambda ref: Ref(order[ref.index], True, ref.item) if ref.part else ref, value
        )

    kept = tuple(
        Part(parts[place].target, moved(parts[place].args), moved(parts[place].kwargs), parts[place].made)
        for place in sorted(wanted)
    )
    return kept, moved(result)


def _refs(value: Any) -> Iterator[Ref]:
    yield from (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Ref) and leaf.part)
