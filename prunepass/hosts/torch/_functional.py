"""Functional form of an exported graph, call by call, without a second trace of the whole of it.

Most graphs need little: an activation that writes to its operand, a view in disguise, a normalisation by its inner
name. What such a call becomes stands in its place afterwards, and names are given in the order in which torch's own
pass over the whole program gives them. Writes are followed by the storage of the fake tensors: where another name of
what is written is read later, and wherever a single call does not tell what it becomes, that pass does the work.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx
from torch.fx.graph import _Namespace
from torch.utils import _pytree as pytree

from ._bind import is_tensor
from ._decomposed import Calls, Parts, Ref, Unclear, is_composite, storages_of, writes

_SKIPPED = "prunepass_skipped_name"


def made_functional(gm: fx.GraphModule, *, names: bool = True) -> bool:
    """Rewrite the graph of ``gm``, an exported module with its state; False where it is left to torch's own pass.

    Args:
        names: give the names that torch's own pass gives.

    The module is to be compiled anew by the caller, where it is run.
    """
    nodes = list(gm.graph.nodes)
    try:
        _check_writes(nodes)
        calls = Calls()
        parts = {node: calls.parts(node) for node in nodes if node.op == "call_function"}
        twice = list(_made_twice(nodes)) if names else []
    except Unclear:
        return False
    for node in twice:
        node.meta[_SKIPPED] = _name(parts[node], node)
    for node, found in parts.items():
        if found is not None:
            _replace(gm.graph, node, found)
    _drop_unread(gm.graph)
    if names:
        _rename(gm.graph)
    return True


def _check_writes(nodes: list[fx.Node]) -> None:
    """Refuse writes to what is read by another name afterwards, or to what the module or its user holds.

    Raises:
        Unclear: there are such, or the fake tensors do not tell.
    """
    at = {node: place for place, node in enumerate(nodes)}
    last = {node: max((at[user] for user in node.users), default=-1) for node in nodes}
    shared: dict[int, list[fx.Node]] = {}
    for node in nodes:
        for storage in storages_of(node):
            shared.setdefault(storage, []).append(node)
    for node in nodes:
        if _is_view(node) and not set(storages_of(node)) & set(storages_of(node.args[0])):
            raise Unclear
        if not writes(node):
            continue
        if set(storages_of(node)) & set(storages_of(_source(node))):
            raise Unclear  # through a view
        for other in (other for storage in storages_of(node) for other in shared[storage]):
            given = other.op != "call_function"
            if given or (at[other] < at[node] and last[other] > at[node]):
                raise Unclear


def _made_twice(nodes: list[fx.Node]) -> Iterator[fx.Node]:
    """Views of what was written to: torch's own pass makes them twice, and one of them in vain.

    Raises:
        Unclear: there are views of such views, which it makes more often.
    """
    written, found = set[int](), set[fx.Node]()
    for node in nodes:
        if node.op != "call_function" or node.target is operator.getitem:
            continue
        if writes(node):
            written.update(storages_of(node))
        elif written & set(storages_of(node)):
            if found & set(node.all_input_nodes):
                raise Unclear
            found.add(node)
            yield node


def _name(found: Parts | None, node: fx.Node) -> str:
    target: Any = found.parts[-1].target if found is not None and found.parts else node.target
    return str(getattr(target, "overloadpacket", target).__name__)


def _source(node: fx.Node) -> Any:
    """The first operand of what a call writes to, where that is no earlier write."""
    read = node.args[0]
    if isinstance(read, fx.Node) and read.op == "call_function" and not writes(read):
        return next(iter(read.args), None)
    return None


def _is_view(node: fx.Node) -> bool:
    """Return whether the schema says that the result is the first operand by another name."""
    if not isinstance(node.target, torch._ops.OpOverload) or is_composite(node.target):
        return False
    returns = node.target._schema.returns
    return bool(returns) and returns[0].alias_info is not None and is_tensor(node.args[0])


def _replace(graph: fx.Graph, node: fx.Node, found: Parts) -> None:
    """Write the parts in the place of the call."""
    reads: list[fx.Node] = []

    def operand(read: fx.Node) -> fx.Node:
        value = read.meta.get("val")
        count = sum(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(value))
        reads.extend([read] * count)
        return read

    fx.map_arg((node.args, node.kwargs), operand)
    made: list[fx.Node] = []

    def stand_in(ref: Ref) -> fx.Node:
        if not ref.part:
            return reads[ref.index]
        whole = made[ref.index]
        if ref.item is None:
            return whole
        return _call(graph, node, operator.getitem, (whole, ref.item), {}, whole.meta["val"][ref.item])

    with graph.inserting_before(node):
        for part in found.parts:
            args, kwargs = (pytree.tree_map_only(Ref, stand_in, given) for given in (part.args, part.kwargs))
            made.append(_call(graph, node, part.target, args, kwargs, part.made))
        if made and _SKIPPED in node.meta:
            made[-1].meta[_SKIPPED] = node.meta[_SKIPPED]
        if isinstance(found.result, Ref):
            node.replace_all_uses_with(stand_in(found.result))
        else:
            refs = pytree.tree_leaves(found.result)
            for user in list(node.users):
                user.replace_all_uses_with(stand_in(refs[int(user.args[1])]))  # type: ignore[arg-type]
                graph.erase_node(user)
    graph.erase_node(node)


def _call(graph: fx.Graph, old: fx.Node, target: Any, args: Any, kwargs: Any, made: Any) -> fx.Node:
    new = graph.call_function(target, tuple(args), dict(kwargs))
    new.meta.update(old.meta)
    for name in ("tensor_meta", _SKIPPED):
        new.meta.pop(name, None)
    new.meta["val"] = made
    return new


def _drop_unread(graph: fx.Graph) -> None:
    """Take out what nothing reads; a layer stays, read or not."""
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and not node.users and isinstance(node.target, torch._ops.OpOverload):
            reads_state = any(read.op == "get_attr" for read in node.all_input_nodes)
            if "val" in node.meta and not reads_state and not node.target._schema.is_mutable:
                graph.erase_node(node)


def _rename(graph: fx.Graph) -> None:
    """Name calls by their operators, in order, and state by what it is called."""
    names = _Namespace()
    ordered = [node for node in graph.nodes if node.op == "placeholder"]
    ordered += [node for node in graph.nodes if node.op == "call_function"]
    ordered += [node for node in graph.nodes if node.op not in ("placeholder", "call_function")]
    for node in ordered:
        packet = getattr(node.target, "overloadpacket", node.target)
        base = packet.__name__ if node.op == "call_function" else node.name
        if _SKIPPED in node.meta:
            names.create_name(node.meta.pop(_SKIPPED), None)
        node.name = names.create_name(base, None)
    graph._graph_namespace = names
