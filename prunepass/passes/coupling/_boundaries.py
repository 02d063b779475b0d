"""Pins and ties beyond those of operators: inputs, outputs, the user's and the host's, params with other readers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...ir import Atom, Dim, Dims, Fixed, Graph, Node, Pin, Space, atoms_of, is_float, rule_of


def pin_boundaries(graph: Graph, space: Space, dims: Mapping[str, Dims]) -> None:
    """Pin what the model reads and gives, what the user and the host forbid, and unify what the host ties."""
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            for dim in () if kind == "output" and name in graph.free else dims[name]:
                space.pin(dim, Pin(f"model {kind} '{name}'"))
    _pin_unread(graph, space, dims)
    for name, axis, reason in graph.pins:
        space.pin(dims[name][axis], Pin(reason))
    for tie in graph.ties:
        (left, i), (right, j) = tie.left, tie.right
        space.unify(dims[left][i], dims[right][j])


def pin_freed(
    graph: Graph, space: Space, dims: Mapping[str, Dims], channels: Collection[Atom | Fixed]
) -> None:
    """Pin what is no channel of the outputs that may be cut: samples and positions."""
    for name in graph.freed:
        for leaf in (leaf for dim in dims[name] for leaf in atoms_of(space.norm(dim))):
            if leaf not in channels:
                space.pin(leaf, Pin(f"model output '{name}'"))


def _pin_unread(graph: Graph, space: Space, dims: Mapping[str, Dims]) -> None:
    """Pin axes of the size of a param that no run reads: they may meet it when it is read."""
    sizes = {size: param.name for param in reversed(graph.unread) for size in param.shape if size > 1}
    for name, value in graph.values.items():
        for axis, size in enumerate(value.shape if sizes and is_float(value.dtype) else ()):
            if size in sizes:
                reason = f"as wide as '{sizes[size]}', which is not reached by the example inputs"
                space.pin(dims[name][axis], Pin(reason))


def numbered_params(graph: Graph, space: Space) -> dict[str, Dim]:
    """Params that can be numbered anew; where the numbers mean more than one thing, the dim is pinned."""
    named: dict[str, list[tuple[Dim, Node]]] = {}
    for node in graph.nodes:
        for position, dim in rule_of(graph, node).indexed.items():
            name = node.inputs[position]
            if name is not None:
                named.setdefault(name, []).append((dim, node))
    places: dict[str, Dim] = {}
    for name, uses in named.items():
        alike = len({dim.size for dim, _ in uses}) == 1
        for dim, node in uses:
            if alike:
                space.unify(dim, uses[0][0])
            if name not in graph.params or not alike or len(uses) < len(graph.readers[name]):
                space.pin(dim, Pin("its entries are numbered by data that has other readers", node.origin))
        places[name] = uses[0][0]
    return places
