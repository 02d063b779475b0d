"""Validity of a model file: names and nodes that onnx_ir and the protobuf parser accept in silence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from ...ir import ModelError
from ._types import first_line, is_constant


@dataclass(frozen=True, slots=True)
class Step:
    """A node as names: what it reads (by name or through subgraphs) and makes."""

    label: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    inner: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """A graph as names."""

    inputs: tuple[str, ...]
    initializers: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]


def scope_of(graph: onnx.GraphProto | ir.Graph) -> Scope:
    """The names of a graph, from either of its forms."""
    if isinstance(graph, ir.Graph):
        inputs, outputs = (tuple(str(v.name) for v in values) for values in (graph.inputs, graph.outputs))
        return Scope(inputs, tuple(graph.initializers), outputs, tuple(_ir_step(node) for node in graph))
    initializers = (*(t.name for t in graph.initializer), *(t.values.name for t in graph.sparse_initializer))
    inputs, outputs = (tuple(v.name for v in values) for values in (graph.input, graph.output))
    return Scope(inputs, initializers, outputs, tuple(_proto_step(node) for node in graph.node))


def _ir_step(node: ir.Node) -> Step:
    graphs: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graphs.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            graphs.extend(attribute.as_graphs())
    reads = tuple(str(value.name) for value in node.inputs if value is not None)
    makes = tuple(value.name for value in node.outputs if value.name)
    return Step(
        _label(node.name, makes, node.op_type), reads, makes, tuple(scope_of(graph) for graph in graphs)
    )


def _proto_step(node: onnx.NodeProto) -> Step:
    graphs = [graph for a in node.attribute for graph in ([a.g] if a.HasField("g") else a.graphs)]
    reads, makes = (tuple(name for name in names if name) for names in (node.input, node.output))
    return Step(
        _label(node.name, makes, node.op_type), reads, makes, tuple(scope_of(graph) for graph in graphs)
    )


def _label(name: str | None, makes: Sequence[str], kind: str) -> str:
    return name or (makes[0] if makes else kind)


def check_names(scope: Scope, outer: frozenset[str] = frozenset()) -> bool:
    """Check that every name is made once and before it is read; whether the nodes are in order.

    Raises:
        ModelError: a name is made twice or never, or nodes wait for each other.
    """
    made: set[str] = set()
    for name in scope.initializers:
        _once(name, made, "initializer")
    for name in scope.inputs:
        if name not in scope.initializers:
            _once(name, made, "input")
    every = {*made, *outer, *(name for step in scope.steps for name in step.makes)}
    for name in (*every, *(name for step in scope.steps for name in (step.label, *step.reads))):
        _check_name(name)
    ordered = True
    for step in scope.steps:
        for name in step.reads:
            if name not in every:
                raise ModelError(f"'{name}' is read but nothing makes it", where=step.label, advice=EXPORT)
            ordered = ordered and (name in made or name in outer)
        for inner in step.inner:
            check_names(inner, frozenset(every))
        for name in step.makes:
            _once(name, made, "result", step.label)
    for name in scope.outputs:
        if name not in every:
            raise ModelError(f"output '{name}' is never made", advice=EXPORT)
    if not ordered:
        _check_acyclic(scope.steps)
    return ordered


EXPORT = "export the model again, or repair it and run onnx.checker on it"


def _check_name(name: str) -> None:
    """Names are shown, one to a line, and written into files that build systems read."""
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise ModelError(f"the name {name!a} holds control characters", advice="rename it")


def _once(name: str, made: set[str], what: str, where: str = "") -> None:
    if name in made:
        raise ModelError(f"{what} '{name}' is made twice", where=where, advice=EXPORT)
    made.add(name)


def _check_acyclic(steps: Sequence[Step]) -> None:
    maker = {name: i for i, step in enumerate(steps) for name in step.makes}
    waits = [{maker[name] for name in step.reads if name in maker} for step in steps]
    waiting = set(range(len(steps)))
    while waiting:
        free = {i for i in waiting if not waits[i] & waiting}
        if not free:
            label = steps[min(waiting)].label
            raise ModelError("nodes wait for each other's results in a circle", where=label, advice=EXPORT)
        waiting -= free


def check_nodes(nodes: Iterable[ir.Node], opsets: dict[str, int]) -> None:
    """Each node against the schema of its operator: known type, required attributes, their types.

    Raises:
        ModelError: naming the node, in the checker's words.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = opsets
    for node in nodes:
        if is_constant(node) or any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
            continue
        try:
            onnx.checker.check_node(ir.serde.serialize_node(node), context)
        except onnx.checker.ValidationError as error:
            makes = [value.name for value in node.outputs if value.name]
            raise ModelError(first_line(str(error)), where=_label(node.name, makes, node.op_type)) from error
