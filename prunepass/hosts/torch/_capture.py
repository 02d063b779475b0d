"""From a functional fx graph to the neutral graph, one node for every call that computes something."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.utils import _pytree as pytree

from ...ir import (
    Aten,
    Graph,
    Node,
    Op,
    Origin,
    Param,
    PrunepassError,
    UnsupportedError,
    constant,
    rule_of,
    sizes,
)
from ._bind import (
    Operand,
    arguments,
    attributes,
    facts,
    is_tensor,
    operands,
    plain,
    schema_of,
    spelled,
    target_name,
)
from ._foreign import (
    Constants,
    foreign_call,
    is_lifted,
    is_random,
    other_arguments,
    tensor_args,
    tensor_attribute,
)
from ._source import innermost_frame
from ._tensors import Tensors, own_names, param_over
from ._ties import attention_ties

# What torch writes for memory and autograd and not for mathematics: the same tensor by another name.
_SAME = {"alias", "clone", "contiguous", "detach", "lift", "lift_fresh", "lift_fresh_copy"}


def capture(gm: fx.GraphModule, *, form: str = "graph") -> Graph:
    """The neutral graph of an exported module.

    Params carry the user's own names and read the live tensors; one tensor under two names is one param.
    What computes constants is replaced by its result, what carries no data is dropped, and an operator
    without a declaration becomes one that is pinned and evaluated by torch.

    Args:
        gm: what :func:`export` gave.
        form: ``module`` adds the equalities that replay onto the user's own module needs.

    Raises:
        UnsupportedError: a size depends on the data.
    """
    return capture_outputs(gm, form=form)[0]


def capture_outputs(gm: fx.GraphModule, *, form: str = "graph") -> tuple[Graph, tuple[str, ...]]:
    """As :func:`capture`, and the name of every tensor output in order, repeated ones too."""
    builder = _Builder(gm)
    for node in gm.graph.nodes:
        builder.add(node)
    graph = _checked(builder.graph(), builder.fallback)
    if form == "module":
        graph = replace(graph, ties=attention_ties(gm, graph))
    return graph, builder.outputs


def origin_of(node: fx.Node) -> Origin:
    """Module path and the user's own source line of an fx node."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack.values()))[0] if stack else ""
    return Origin(str(path).partition("@")[0], str(innermost_frame(node.meta.get("stack_trace")) or ""))


@dataclass
class _Builder:
    """Turns fx nodes into neutral ones, in the order of the graph."""

    gm: fx.GraphModule
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: tuple[str, ...] = ()
    kept: set[str] = field(default_factory=set)
    sources: dict[str, fx.Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._constants = Constants(self.gm)
        self._names: dict[fx.Node, str | tuple[str, ...]] = {}
        self.tensors = Tensors(own_names(self.gm))

    def add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if is_tensor(node):
                self._names[node] = self.tensors.value(node.name, node.meta["val"])
                self.inputs.append(str(self._names[node]))
        elif node.op == "output":
            leaves = pytree.tree_leaves(node.args)
            self.outputs = tuple(self._read(leaf) for leaf in leaves if is_tensor(leaf))
        elif not self._constants.take(node) and node.op == "call_function":
            self._call(node)
        elif node.op not in ("get_attr", "call_function"):
            raise UnsupportedError(
                f"'{node.op}' of '{node.target}' is no exported operator", where=origin_of(node)
            )

    def _call(self, node: fx.Node) -> None:
        first = node.args[0] if node.args else None
        if node.target is operator.getitem and isinstance(first, fx.Node) and first in self._names:
            made = self._names[first]
            self._names[node] = made[int(plain(node.args[1]))] if isinstance(made, tuple) else made
        elif is_tensor(node) and is_same(node) and isinstance(first, fx.Node):
            self._names[node] = self._read(first)
        elif isinstance(node.meta.get("val"), (torch.Tensor, list, tuple)) or _mutates(node):
            self._emit(node)

    def _emit(self, node: fx.Node) -> None:
        found = spelled(node.target)
        self.sources[node.name] = node
        if found is not None:
            try:
                self._declared(node, *found)
                return
            except UnsupportedError as refused:
                self._foreign(node, refused.what)
                return
        self._foreign(node)

    def _declared(self, node: fx.Node, op: Op, spelling: Aten) -> None:
        bound = arguments(node)
        reads = operands(spelling, bound)
        shapes = tuple(_shape(operand.value) for operand in reads)
        attrs = attributes(spelling, bound, shapes)
        names = tuple(self._operand(node, reads, position) for position in range(len(reads)))
        self.nodes.append(Node(node.name, op.name, names, self._results(node), attrs, origin_of(node)))

    def _foreign(self, node: fx.Node, why: str = "") -> None:
        names = tuple(self._read(read) for read in tensor_args(node))
        if _mutates(node):
            self.kept.add(node.name)
        self.nodes.append(_pinned(node, names, self._results(node), why))

    def _operand(self, node: fx.Node, reads: list[Operand], position: int) -> str | None:
        value = reads[position].value
        if value is None or is_tensor(value):
            return None if value is None else self._read(value)
        spread = sum(operand.argument == reads[position].argument for operand in reads) > 1
        name = f"{node.name}.{reads[position].argument}" + (f".{position}" if spread else "")
        name = self.tensors.unique(name)
        self.tensors.params[name] = constant(name, np.asarray(plain(value)))
        return name

    def _results(self, node: fx.Node) -> tuple[str, ...]:
        """Names of what ``node`` makes.

        A row of parts is whole, for the code that takes them says how they compare, read or not. Of results
        that differ in kind those after the last one that is read are left out.
        """
        made = node.meta.get("val")
        if isinstance(made, (list, tuple)):
            read = [int(plain(user.args[1])) for user in node.users if user.target is operator.getitem]
            parts = list(made if isinstance(made, list) else made[: max(read, default=0) + 1])
            names = tuple(
                self.tensors.value(node.name if i == 0 else f"{node.name}.{i}", part)
                if isinstance(part, torch.Tensor)
                else ""
                for i, part in enumerate(parts)
            )
            self._names[node] = names
            return names
        written = made if isinstance(made, torch.Tensor) else node.all_input_nodes[0].meta["val"]
        self._names[node] = self.tensors.value(node.name, written)
        return (str(self._names[node]),)

    def _read(self, node: fx.Node) -> str:
        """Name of the tensor that ``node`` stands for."""
        if node in self._constants:
            self._names.setdefault(node, self._constant(node))
        elif node.op == "get_attr" and node not in self._names:
            self._names[node] = self._param(node)
        name = self._names[node]
        assert isinstance(name, str)
        return name

    def _constant(self, node: fx.Node) -> str:
        if node.op == "get_attr":
            name = self._param(node)
            if is_lifted(node):
                self.tensors.params[name] = replace(self.tensors.params[name], trained=False)
            return name
        constants, name = self._constants, self.tensors.unique(node.name)
        shape, dtype = facts(node.meta["val"])
        source = lambda: constants.array(node)  # noqa: E731
        self.tensors.params[name] = Param(name, shape, dtype, source, trained=False, origin=origin_of(node))
        return name

    def _param(self, node: fx.Node) -> str:
        tensor = tensor_attribute(self.gm, node)
        assert tensor is not None
        name = self.tensors.own.get(str(node.target), str(node.target))
        self.tensors.params.setdefault(name, param_over(name, tensor))
        return name

    def graph(self) -> Graph:
        """The graph built, without what nothing reads; layers stay, read or not."""
        wanted, alive, layers = set(self.outputs), list[Node](), set(self.tensors.own.values())
        for node in reversed(self.nodes):
            if node.name in self.kept or wanted & set(node.outputs) or layers & set(node.inputs):
                wanted.update(name for name in node.inputs if name is not None)
                alive.append(node)
        alive.reverse()
        made = {*self.inputs, *(name for node in alive for name in node.outputs)}
        values = {name: value for name, value in self.tensors.values.items() if name in made}
        params = {name: self.tensors.params[name] for name in self.tensors.ordered() if name in wanted}
        outputs = tuple(dict.fromkeys(self.outputs))
        return Graph(
            _model_name(self.gm), tuple(self.inputs), outputs, tuple(alive), values, params, host="torch"
        )

    def fallback(self, node: Node, why: str) -> Node:
        """The foreign twin of a declared node whose use the declaration refuses."""
        source = self.sources[node.name]
        return _pinned(source, tuple(self._read(read) for read in tensor_args(source)), node.outputs, why)


def _pinned(node: fx.Node, names: tuple[str | None, ...], results: tuple[str, ...], why: str) -> Node:
    target = node.target
    kind = target_name(target) if isinstance(target, torch._ops.OpOverload) else str(target)
    attrs: dict[str, Any] = {"kind": f"{kind}: {why}" if why else kind, "arguments": other_arguments(node)}
    if is_random(target):
        attrs["random"] = True
    return Node(node.name, "foreign", names, results, attrs, origin_of(node), foreign_call(node))


def is_same(node: fx.Node) -> bool:
    """Return whether the node is its operand by another name."""
    return (
        isinstance(node.target, torch._ops.OpOverload) and target_name(node.target).partition(".")[0] in _SAME
    )


def _mutates(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and schema_of(node).is_mutable


def _shape(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    return facts(value.meta["val"])[0] if is_tensor(value) else np.asarray(plain(value)).shape


def _model_name(gm: fx.GraphModule) -> str:
    """The class of the user's model, as the nodes remember it."""
    for node in gm.graph.nodes:
        for _, kind in (node.meta.get("nn_module_stack") or {}).values():
            return str(kind).rpartition(".")[2].rstrip("'>")
    return type(gm).__name__


def _checked(graph: Graph, fallback: Callable[[Node, str], Node]) -> Graph:
    """Nodes that their declaration's rule refuses, or states other shapes for, become foreign."""
    refused = {node.name: why for node in graph.nodes if (why := _refusal(graph, node))}
    if not refused:
        return graph
    nodes = tuple(
        fallback(node, refused[node.name]) if node.name in refused else node for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _refusal(graph: Graph, node: Node) -> str:
    try:
        rule = rule_of(graph, node)
    except PrunepassError as error:
        return error.what
    if len(rule.operands) != len(node.inputs):
        return f"its rule states {len(rule.operands)} operands where torch gives {len(node.inputs)}"
    for name, dims in zip(node.outputs, rule.results, strict=False):
        if sizes(dims) != graph.values[name].shape:
            return f"its rule says {sizes(dims)} where torch makes {graph.values[name].shape}"
    return ""
