"""Layers that run although nobody uses what they make: torch's own passes would drop them.

They are consumers like any other: their weights must go with the channels that they read, or the module fails
where it runs them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

# An assertion that asserts nothing. Passes that remove dead code leave assertions, and what they read, alone.
_HOLD: Any = torch.ops.aten._assert_tensor_metadata.default


@contextmanager
def held(program: ExportedProgram) -> Iterator[None]:
    """Keep the layers of ``program`` whose results nothing reads; its graph is as it was afterwards."""
    graph, added = program.graph_module.graph, list[fx.Node]()
    try:
        for node in _dropped_layers(program):
            with graph.inserting_after(node):
                added.append(graph.call_function(_HOLD, (node,)))
        yield
    finally:
        for node in added:
            graph.erase_node(node)


def release(graph: fx.Graph) -> None:
    """Take out the assertions that :func:`held` left in a graph made of its own; the layers stay."""
    for node in list(graph.nodes):
        if node.target is _HOLD and len(node.args) == 1 and not node.kwargs:
            graph.erase_node(node)


def _dropped_layers(program: ExportedProgram) -> list[fx.Node]:
    """Tensors that a call makes of state of the module, and that reach no output."""
    signature, used = program.graph_signature, set[fx.Node]()
    stored = {*signature.inputs_to_parameters, *signature.inputs_to_buffers}
    found: list[fx.Node] = []
    for node in reversed(program.graph_module.graph.nodes):
        if node.op == "output" or node in used:
            used.update(node.all_input_nodes)
        elif any(read.name in stored for read in node.all_input_nodes):
            found += [made for made in (node, *node.users) if _is_result(made, node)]
    return found[::-1]


def _is_result(made: fx.Node, call: fx.Node) -> bool:
    """Return whether ``made`` is a tensor that ``call`` makes: itself, or one of several."""
    taken = made is call or made.target is operator.getitem
    return taken and isinstance(made.meta.get("val"), torch.Tensor)
