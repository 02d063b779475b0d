"""A stable text form of a graph, for goldens, diffs and error excerpts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._graph import Graph, Node, Param, Value

_SHORT = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "int64": "i64",
    "int32": "i32",
}


def to_text(graph: Graph) -> str:
    """The whole graph, one line per param and node, the same on every run and machine."""
    inputs = ", ".join(f"%{name}: {_type(graph.tensor(name))}" for name in graph.inputs)
    lines = [f"graph {graph.name}({inputs}) {{"]
    lines += [f"  param {param.name}: {_type(param)}" for param in graph.params.values()]
    lines += [f"  {node_text(graph, node)}" for node in graph.nodes]
    return "\n".join([*lines, f"  return {', '.join('%' + name for name in graph.outputs)}", "}"]) + "\n"


def node_text(graph: Graph, node: Node) -> str:
    """One node as ``%out: type = op(%in, param) {attr=value}``."""
    made = ", ".join(f"%{name}: {_type(graph.tensor(name))}" for name in node.outputs)
    read = ", ".join("none" if name is None else _ref(graph, name) for name in node.inputs)
    attrs = ", ".join(f"{key}={_plain(value)}" for key, value in sorted(node.attrs.items()))
    return f"{made} = {node.op}({read})" + (f" {{{attrs}}}" if attrs else "")


def excerpt(graph: Graph, node: Node, message: str, around: int = 3) -> str:
    """The node with its neighbours and the message under it."""
    at = next((i for i, other in enumerate(graph.nodes) if other is node), 0)
    lines = []
    for i in range(max(0, at - around), min(len(graph.nodes), at + around + 1)):
        lines.append(f"{'>' if i == at else ' '} {node_text(graph, graph.nodes[i])}")
        if i == at:
            lines.append(f"  ^ {message}")
    return "\n".join(lines)


def _ref(graph: Graph, name: str) -> str:
    return name if name in graph.params else f"%{name}"


def _type(tensor: Value | Param) -> str:
    return f"{_SHORT.get(tensor.dtype, tensor.dtype)}[{','.join(map(str, tensor.shape))}]"


def _plain(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return repr(value) if isinstance(value, (str, float)) else str(value)
