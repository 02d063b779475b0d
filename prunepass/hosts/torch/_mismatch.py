"""The first difference between a captured model and the graph that it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir import Graph, Node, Origin, Param, Tie, UnsupportedError

_ADVICE = 'use form="graph", or compute the size from the tensors in your own code'


@dataclass(frozen=True)
class Remedy:
    """Pins and ties that keep the next plan away from a mismatch."""

    pins: tuple[tuple[str, int, str], ...] = ()
    ties: tuple[Tie, ...] = ()


class ReplayMismatch(UnsupportedError):  # noqa: N818 - the name is public
    """The host's own code contradicts a cut.

    Attributes:
        node: name of the neutral node where it shows, empty where unknown.
        remedies: what may be demanded of the next plan, the least restrictive first.
        captured: what the host's model computes, where it could be captured.
    """

    captured: Graph | None = None

    def __init__(
        self,
        what: str,
        *,
        node: str = "",
        where: Origin | str | None = None,
        remedies: tuple[Remedy, ...] = (),
        advice: str = _ADVICE,
    ) -> None:
        super().__init__(what, where=where, advice=advice)
        self.node, self.remedies = node, remedies


@dataclass(frozen=True)
class Difference:
    """The first place where a captured graph departs from the wanted one.

    Attributes:
        node: the wanted node.
        what: in words.
        attr: the attribute that differs, empty where something else does.
        want, got: its values.
    """

    node: Node
    what: str
    attr: str = ""
    want: Any = None
    got: Any = None

    def entries(self) -> tuple[int, ...] | None:
        """Numbers of the attribute that differ; None where they cannot be told apart."""
        if (
            not isinstance(self.want, tuple)
            or not isinstance(self.got, tuple)
            or len(self.want) != len(self.got)
        ):
            return None
        return tuple(i for i, (want, got) in enumerate(zip(self.want, self.got, strict=True)) if want != got)


def first_difference(want: Graph, got: Graph) -> Difference | None:
    """The first of :func:`differences`, None where there is none."""
    return next(differences(want, got), None)


def differences(want: Graph, got: Graph) -> Iterator[Difference]:
    """Nodes of ``got`` that are not those of ``want``: operator, attributes, operands, shapes.

    Weights were written from ``want`` and are compared by shape; constants that the source computes by value.
    What follows a node that makes another shape, or is another operation, is not compared.
    """
    names = dict(zip(want.inputs, got.inputs, strict=False))
    for one, other in zip(want.nodes, got.nodes, strict=False):
        found = _node_difference(want, got, one, other) or _operand_difference(want, got, names, one, other)
        if found is not None:
            yield found
            if not _comparable(want, got, one, other):
                return
        names.update(zip(one.outputs, other.outputs, strict=False))
    if len(want.nodes) != len(got.nodes):
        longer = want.nodes if len(want.nodes) > len(got.nodes) else got.nodes
        extra = longer[min(len(want.nodes), len(got.nodes))]
        yield Difference(extra, f"the model now has {len(got.nodes)} operations, not {len(want.nodes)}")
        return
    last = _output_difference(want, got, names)
    if last is not None:
        yield last


def _comparable(want: Graph, got: Graph, one: Node, other: Node) -> bool:
    """Return whether two nodes that differ make tensors of the same shapes by the same operation."""
    if one.op != other.op or len(one.outputs) != len(other.outputs):
        return False
    pairs = zip(one.outputs, other.outputs, strict=True)
    return all(want.values[name].shape == got.values[found].shape for name, found in pairs)


def _output_difference(want: Graph, got: Graph, names: Mapping[str, str]) -> Difference | None:
    """Outputs that are weights, constants or inputs no operation reads."""
    last = want.nodes[-1] if want.nodes else None
    if last is None or len(want.outputs) != len(got.outputs):
        return Difference(last, "the model gives other outputs") if last else None
    for name, found_name in zip(want.outputs, got.outputs, strict=True):
        if name in want.params and found_name in got.params:
            what = param_difference(want.params[name], got.params[found_name])
            if what:
                return Difference(last, what)
        elif names.get(name) != found_name:
            return Difference(last, f"the model gives '{found_name}' where the cut model gives '{name}'")
    return None


def _node_difference(want: Graph, got: Graph, one: Node, other: Node) -> Difference | None:
    if one.op != other.op or len(one.inputs) != len(other.inputs) or len(one.outputs) != len(other.outputs):
        return Difference(one, f"the model computes '{other.op}' where the cut model has '{one.op}'")
    for name in sorted(one.attrs.keys() | other.attrs.keys()):
        wanted, found = one.attrs.get(name), other.attrs.get(name)
        if not equal_attributes(wanted, found):
            what = f"'{one.op}' has {name}={found} where the cut needs {name}={wanted}"
            return Difference(one, what, name, wanted, found)
    for name, found_name in zip(one.outputs, other.outputs, strict=True):
        shape, found = want.values[name].shape, got.values[found_name].shape
        if shape != found:
            what = f"'{one.op}' makes shape {found} where the cut needs {shape}"
            return Difference(one, what, "", shape, found)
    return None


def _operand_difference(
    want: Graph, got: Graph, names: Mapping[str, str], one: Node, other: Node
) -> Difference | None:
    for name, found_name in zip(one.inputs, other.inputs, strict=True):
        if name is None or found_name is None:
            if name is not found_name:
                return Difference(one, f"an operand of '{one.op}' is missing or new")
            continue
        if name in want.params and found_name in got.params:
            what = param_difference(want.params[name], got.params[found_name])
            if what:
                return Difference(one, what)
        elif names.get(name) != found_name:
            return Difference(one, f"'{one.op}' reads '{found_name}' where the cut model reads '{name}'")
    return None


def param_difference(want: Param, got: Param) -> str:
    """The difference of a param from the wanted one, empty where there is none."""
    if want.shape != got.shape:
        return f"'{got.name}' has shape {got.shape} where the cut needs {want.shape}"
    if want.trained and (not got.trained or want.name != got.name):
        return f"the model reads '{got.name}' where the cut model reads '{want.name}'"
    if not want.trained and not np.array_equal(want.read(), got.read(), equal_nan=want.is_float):
        return f"a constant that the source computes is no longer {_short(want)} but {_short(got)}"
    return ""


def _short(param: Param) -> str:
    data = param.read()
    return str(data.item()) if data.size == 1 else f"the same {list(param.shape)} values"


def equal_attributes(one: Any, other: Any) -> bool:
    """Return whether two values of an attribute are the same."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other)
