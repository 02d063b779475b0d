"""Comparison of the edited model, captured again, with the cut graph, node by node."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...ir import Graph, Node, Param, Shape, UnsupportedError
from ._guide import same_attrs, same_data

_ADVICE = "keep this node's channels, for instance with keep=[...], and report the model"


def check_same(found: Graph, wanted: Graph, computed: Collection[str] = ()) -> None:
    """Compare operators, attributes, operands, shapes, and the data of ``computed`` constants.

    ``found`` may hold nodes that ``wanted`` does not: corrections that replay has added.

    Raises:
        UnsupportedError: naming the ONNX node that differs.
    """
    nodes = {node.name: node for node in found.nodes}
    for node in wanted.nodes:
        other = nodes.get(node.name)
        if other is None:
            raise _mismatch(node, "it is gone")
        if other.op != node.op:
            raise _mismatch(node, f"it is read as '{other.op}' instead of '{node.op}'")
        if not same_attrs(other.attrs, node.attrs):
            raise _mismatch(node, f"attributes are {dict(other.attrs)} instead of {dict(node.attrs)}")
        for name in node.outputs:
            _check_shape(node, name, found.values[name].shape, wanted.values[name].shape)
        for have, want in zip(other.inputs, node.inputs, strict=True):
            _check_operand(node, (found, have), (wanted, want), computed)


def _check_operand(
    node: Node, have: tuple[Graph, str | None], want: tuple[Graph, str | None], computed: Collection[str]
) -> None:
    if have[1] is None or want[1] is None:
        if have[1] is not want[1]:
            raise _mismatch(node, f"operand '{have[1] or want[1]}' is given in one of both only")
        return
    ours, theirs = have[0].tensor(have[1]), want[0].tensor(want[1])
    _check_shape(node, want[1], ours.shape, theirs.shape)
    if want[1] not in computed or not isinstance(ours, Param) or not isinstance(theirs, Param):
        return
    if not same_data(ours.read(), theirs.read().astype(ours.dtype, copy=False)):
        raise _mismatch(node, f"'{want[1]}' is computed to something else")


def _check_shape(node: Node, name: str, have: Shape, want: Shape) -> None:
    if have != want:
        raise _mismatch(node, f"'{name}' is {list(have)} instead of {list(want)}")


def _mismatch(node: Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"the cut cannot be written into the model: {what}", where=node.origin, advice=_ADVICE
    )


def check_scaling(before: tuple[Graph, Graph], after: tuple[Graph, Graph]) -> None:
    """At other symbolic sizes, dims that the cut leaves alone must be what they were in the whole model.

    Args:
        before: the whole model at the captured sizes and at others; ``after``: the cut one at the same.

    Raises:
        UnsupportedError: naming the ONNX node.
    """
    for node in after[0].nodes:
        for name in node.outputs:
            shapes = [_shape(graph.values, name) for graph in (*before, *after)]
            if any(shape is None for shape in shapes):
                continue
            for whole, other, cut, scaled in zip(*(shape or () for shape in shapes), strict=False):
                # Cut dims follow in proportion; a dim that is cut and does not vary stays as cut.
                if scaled * whole != cut * other:
                    due = cut * other // whole
                    raise UnsupportedError(
                        f"with other symbolic sizes a dim of '{name}' would be {scaled}, not {due}",
                        where=node.origin,
                        advice="fix the symbolic dims of the model's inputs, or keep this node's channels",
                    )


def _shape(values: Mapping[str, object], name: str) -> Shape | None:
    value = values.get(name)
    shape: Shape | None = getattr(value, "shape", None)
    return shape
