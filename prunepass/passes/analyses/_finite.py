"""Weights that are no numbers: broken, unless they are minus infinity where a mask says "not this one"."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Graph, ModelError, Node, leaves, registry, rule_of
from ..coupling import static_values

# Operands that scale, weight or shift what a layer makes; all others are data, whatever is stored in them.
_WEIGHTS = frozenset(("weight", "bias", "scale", "shift", "mean", "var"))


def refuse_not_finite(graph: Graph) -> None:
    """Weights that are NaN or infinite can be neither scored nor proven.

    Minus infinity is a mask where the tensor is read as data alone: added to scores before a softmax, say.

    Raises:
        ModelError: naming the first such param.
    """
    for param in graph.params.values():
        if param.trained and param.is_float and not _is_sound(graph, param.name, param.read()):
            raise ModelError(
                f"weight '{param.name}' holds NaN or infinite numbers",
                where=graph.name,
                advice="repair the checkpoint",
            )


def _is_sound(graph: Graph, name: str, data: Array) -> bool:
    odd = data[~np.isfinite(data)]
    return not odd.size or bool(np.all(np.isneginf(odd)) and not _weighs(graph, name))


def _weighs(graph: Graph, name: str) -> bool:
    """Return whether a param, or what is computed of it and other params, stands where weights stand."""
    static, found = static_values(graph), {name}
    for node in graph.nodes:
        at = [position for position, read in enumerate(node.inputs) if read in found]
        if any(_is_weight(graph, node, position) for position in at):
            return True
        if at and static.issuperset(node.outputs):
            found.update(node.outputs)
    return False


def _is_weight(graph: Graph, node: Node, position: int) -> bool:
    """Return whether an operand weighs: by its name, or because all entries along one of its axes are summed."""
    rule = rule_of(graph, node)
    dims = rule.operands[position]
    summed = {leaf for dim in rule.contracted for leaf in leaves(dim)}
    made = {leaf for result in rule.results for dim in result for leaf in leaves(dim)}
    read = {leaf for dim in dims or () for leaf in leaves(dim)}
    return registry()[node.op].operand(position) in _WEIGHTS or bool(read & summed - made)
