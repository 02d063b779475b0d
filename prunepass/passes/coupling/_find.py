"""Groups by the names that users know: of layers, of their weights, of the group itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...ir import Atom, Dim, Fixed, Node, UsageError, leaves
from ._coupling import Coupling, Group, Member

MADE = ("produced", "carried")
_ADVICE = "'prunepass analyze' lists groups and their layers"


def find_group(coupling: Coupling, name: str) -> Group:
    """The group called ``name``, or whose channels the layer or weight called ``name`` gives.

    Raises:
        UsageError: there is none, or the layer gives channels of several.
    """
    for group in coupling.groups:
        if group.name == name:
            return group
    layers = layers_of_nodes(coupling)
    for roles in (MADE, ("contracted", "read", "statistic")):
        found = [
            g for g in coupling.groups if any(m.role in roles and _is(m, name, layers) for m in g.members)
        ]
        if len(found) > 1:
            names = ", ".join(f"'{group.name}'" for group in found)
            raise UsageError(f"'{name}' has channels of several groups: {names}", advice="name one of them")
        if found:
            return found[0]
    raise UsageError(f"no group has a layer '{name}'", advice=_ADVICE)


def layers_of_nodes(coupling: Coupling) -> Mapping[str, str]:
    """The layer of each node: its module or, where there are none, its own name."""
    return {node.name: node.origin.path or node.name for node in coupling.graph.nodes}


def _is(member: Member, name: str, layers: Mapping[str, str]) -> bool:
    return name in (member.node, member.tensor, layers[member.node])


def channels_of(coupling: Coupling, name: str) -> Dim:
    """The channels that a layer gives: the dim of its result, or of the weight called ``name``, that weights make.

    Raises:
        UsageError: there is no such layer, it gives no channels, or its channels are not one dim.
    """
    layers, found = layers_of_nodes(coupling), dict[object, Dim]()
    nodes = [node for node in coupling.graph.nodes if name in (node.name, layers[node.name])]
    for roles in (("produced",), ("carried",)):
        members = [m for g in coupling.groups for m in g.members if m.role in roles and _is(m, name, layers)]
        dims = [coupling.dims[m.tensor][m.axis] for m in members]
        given = [
            dim
            for node in nodes
            if any(m.node == node.name for m in members)
            for dim in _results(coupling, node, dims)
        ]
        for dim in (coupling.norm(dim) for dim in given or dims):
            found.setdefault(_form(dim), dim)
        if found:
            break
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UsageError(f"'{name}' has channels of several kinds", advice="name the weight that makes them")
    if nodes or name in coupling.dims:
        raise UsageError(f"'{name}' gives no channels that any weight makes", advice=_ADVICE)
    raise UsageError(f"nothing in the model is called '{name}'", advice=_ADVICE)


def _results(coupling: Coupling, node: Node, dims: list[Dim]) -> Iterator[Dim]:
    """Dims of the first result that hold what the layer's weights make."""
    made = {leaf for dim in dims for leaf in leaves(coupling.norm(dim)) if leaf.size > 1}
    for dim in coupling.dims[node.outputs[0]]:
        if made.intersection(leaves(coupling.norm(dim))):
            yield dim


def _form(dim: Dim) -> object:
    """A key that dims made of the same parts share."""
    if isinstance(dim, (Atom, Fixed)):
        return dim
    return (type(dim), *map(_form, dim.parts))
