"""The call of a node: attributes, shapes and constants as a rule sees them."""

from __future__ import annotations

from ._graph import Array, Graph, Node, Param
from ._op import Call


def call_of(graph: Graph, node: Node) -> Call:
    """The :class:`Call` of ``node``: shapes, dtypes and the constants among its operands."""
    tensors = [None if name is None else graph.tensor(name) for name in node.inputs]

    def known(position: int) -> Array | None:
        tensor = tensors[position] if position < len(tensors) else None
        return tensor.read() if isinstance(tensor, Param) else None

    return Call(
        attrs=node.attrs,
        shapes=tuple(None if tensor is None else tensor.shape for tensor in tensors),
        dtypes=tuple(None if tensor is None else tensor.dtype for tensor in tensors),
        known=known,
        results=tuple(graph.values[name].shape for name in node.outputs),
        origin=node.origin,
        foreign=node.foreign,
        name=node.name,
        entries=node.entries,
    )
