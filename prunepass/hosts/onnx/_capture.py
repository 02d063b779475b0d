"""From an ONNX model to the neutral graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import onnx_ir as ir

from ...ir import Graph, Node, Param, UnsupportedError, constant
from ._inputs import concretise
from ._spell import NEWEST_OPSET
from ._trace import Trace
from ._types import opsets_of, unique

OLDEST_OPSET = 7


def capture(model: ir.Model, example_inputs: object = None) -> Graph:
    """The neutral graph of ``model``.

    Weights in initializers and Constants are params under their own names; a constant of one repeated
    number along one axis that several nodes read (a shared zero bias) becomes one param for each reader
    (``name``, ``name@2``, ..), so that a cut for one leaves the others. Symbolic dims take their sizes
    from ``example_inputs``; sizes that had to be assumed are listed in ``Graph.pins``.

    Args:
        example_inputs: arrays or shapes, by input name, in input order, or one alone.

    Raises:
        UsageError: the examples do not fit the inputs.
        UnsupportedError: the operator set is too old, or a node's result cannot be typed.
    """
    check_opset(model)
    inputs = concretise(model, example_inputs)
    return assemble(Trace(model, inputs).run(), inputs.notes)


def check_opset(model: ir.Model) -> None:
    """Refuse operator sets whose operators broadcast by other rules."""
    version = opsets_of(model).get("")
    if version is not None and version < OLDEST_OPSET:
        raise UnsupportedError(
            f"operator set {version} is older than {OLDEST_OPSET}",
            where=model.graph.name or "model",
            advice=f"convert it with onnx.version_converter to {OLDEST_OPSET}..{NEWEST_OPSET}",
        )


def assemble(trace: Trace, notes: tuple[tuple[str, int, str], ...] = ()) -> Graph:
    """The graph of a finished walk: only params that are read, one per reader where they are uniform."""
    ledger, onnx_graph = trace.ledger, trace.model.graph
    nodes, aliases = per_reader(trace)
    params: dict[str, Param] = {}
    outputs = tuple(str(value.name) for value in onnx_graph.outputs)
    for name in (*(name for node in nodes for name in node.inputs), *outputs):
        if name is None or name in params:
            continue
        base = aliases.get(name, name)
        if base in ledger.folded:
            params[name] = constant(name, ledger.folded[base])
        elif base in ledger.consts:
            params[name] = replace(ledger.consts[base], name=name)
    made = {*trace.inputs.shapes, *(out for node in nodes for out in node.outputs)}
    return Graph(
        name=onnx_graph.name or "",
        inputs=tuple(trace.inputs.shapes),
        outputs=outputs,
        nodes=tuple(nodes),
        values={name: value for name, value in ledger.values.items() if name in made},
        params=params,
        host="onnx",
        pins=notes,
    )


def per_reader(trace: Trace) -> tuple[list[Node], Mapping[str, str]]:
    """Nodes with a param for each read of a uniform constant, and what each new name stands for."""
    reads: dict[str, int] = {}
    for node in trace.nodes:
        for name in node.inputs:
            if name in trace.ledger.consts:
                reads[str(name)] = reads.get(str(name), 0) + 1
    shared = {name for name, count in reads.items() if count > 1 and _is_uniform(trace.ledger.consts[name])}
    taken = {*trace.ledger.values, *trace.ledger.consts} - shared
    aliases: dict[str, str] = {}
    nodes = []
    for node in trace.nodes:
        operands: list[str | None] = []
        for name in node.inputs:
            if name is not None and name in shared:
                own = unique(name, taken)
                aliases[own] = name
                operands.append(own)
            else:
                operands.append(name)
        nodes.append(replace(node, inputs=tuple(operands)) if shared else node)
    return nodes, aliases


def _is_uniform(param: Param) -> bool:
    """One repeated number along one axis; anything else that is shared is shared on purpose."""
    if prod(param.shape) < 2 or max(param.shape) != prod(param.shape):
        return False
    data = param.read()
    return bool((data == data.flat[0]).all())
