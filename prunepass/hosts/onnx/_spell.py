"""Reading one ONNX node through the spelling that its operator declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from ...ir import Array, Onnx, Op, PrunepassError, Shape, UnsupportedError, registry
from ._types import first_line, kind_of, plain_array, plain_attribute

NEWEST_OPSET = 25
"""Declarations were written against the default domain up to here; what changed later is not read by them."""

_INERT = frozenset({"momentum", "ratio", "seed", "is_test", "test_mode", "consumed_inputs"})
"""Attributes and inputs that mean nothing when a trained model runs, by their names in the format."""

Known = Callable[[str], "Array | None"]
Place = str | int


@dataclass(frozen=True, slots=True)
class Reading:
    """A node as its declaration sees it.

    Attributes:
        slots: ONNX input index of each operand; None where it is absent.
        raw: attributes as the node holds them, by neutral name.
        places: where each of them stands: an attribute's name or an input's index.
        opset: version of the operator set that the node belongs to.
        outputs: how many results the node has.
    """

    op: Op
    spelling: Onnx
    slots: tuple[int | None, ...]
    raw: Mapping[str, Any]
    places: Mapping[str, Place]
    opset: int
    outputs: int

    def neutral(self, shapes: tuple[Shape | None, ...], **changed: Any) -> dict[str, Any]:
        """Neutral attributes for operands of ``shapes``, with some raw ones replaced.

        Raises:
            UnsupportedError: the declaration does not understand the values.
        """
        raw = {**self.raw, **changed}
        if self.spelling.fix is None:
            return raw
        try:
            fixed = self.spelling.fix({**raw, "opset": self.opset, "outputs": self.outputs}, shapes)
        except PrunepassError:
            raise
        except Exception as error:
            raise UnsupportedError(
                first_line(f"attributes {_short(raw)} on {shapes}: {type(error).__name__}: {error}")
            ) from error
        return {name: value for name, value in fixed.items() if name not in ("opset", "outputs")}


def _short(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes to quote: arrays by their shape."""
    return {
        name: f"array{value.shape}" if isinstance(value, np.ndarray) else value for name, value in raw.items()
    }


def read(node: ir.Node, opsets: Mapping[str, int], known: Known) -> Reading | str:
    """The declaration of ``node``, or in words why nothing can be said about it."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    opset = opsets.get(domain, 1)
    found = registry().onnx(kind_of(node), opset)
    if found is None:
        return "no declaration"
    if found[1].opaque:
        return found[1].opaque
    kind = schema(node.op_type, opset, domain)
    if kind is not None and not domain and kind.since_version > NEWEST_OPSET:
        return f"changed in opset {kind.since_version}"
    op, spelling = found
    read_raw = _raw(node, spelling, known)
    if isinstance(read_raw, str):
        return read_raw
    raw, places = read_raw
    unread = _unread(node, spelling, kind)
    if unread:
        return unread
    indices = range(len(node.inputs)) if spelling.inputs is None else spelling.inputs
    slots = [i if i < len(node.inputs) and node.inputs[i] is not None else None for i in indices]
    while slots and slots[-1] is None:
        slots.pop()
    outputs = len(node.outputs)
    return Reading(op, spelling, tuple(slots), raw, places, opset, outputs)


def left_alone(node: ir.Node, opsets: Mapping[str, int]) -> Onnx | None:
    """The spelling of a node that is declared to be left alone."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    found = registry().onnx(kind_of(node), opsets.get(domain, 1))
    return found[1] if found is not None and found[1].opaque else None


def places_of(spelling: Onnx, name: str) -> tuple[Place, ...]:
    """Every place where an attribute may stand, in the order in which they are tried."""
    where = spelling.attrs.get(name, ())
    return where if isinstance(where, tuple) else (where,)


def _raw(node: ir.Node, spelling: Onnx, known: Known) -> tuple[dict[str, Any], dict[str, Place]] | str:
    raw: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for name in spelling.attrs:
        for place in places_of(spelling, name):
            if isinstance(place, str):
                attribute = node.attributes.get(place)
                if attribute is None:
                    continue
                raw[name] = plain_attribute(attribute)
            else:
                value = node.inputs[place] if place < len(node.inputs) else None
                if value is None or not value.name:
                    continue
                array = known(value.name)
                if array is None:
                    return f"'{value.name}' is computed while the model runs"
                raw[name] = plain_array(array)
            places[name] = place
            break
    return raw, places


def _unread(node: ir.Node, spelling: Onnx, kind: onnx.defs.OpSchema | None) -> str:
    """The reason why a declaration does not cover the node's attributes; empty where it does."""
    places = {place for name in spelling.attrs for place in places_of(spelling, name)}
    for name, attribute in node.attributes.items():
        if name in places or name in _INERT:
            continue
        default = (
            kind.attributes[name].default_value if kind is not None and name in kind.attributes else None
        )
        if default is None or plain_attribute(attribute) != _default(default):
            return f"attribute '{name}' is not understood"
    if spelling.inputs is not None:
        for i, value in enumerate(node.inputs):
            if value is not None and i not in places and i not in spelling.inputs and not _is_inert(kind, i):
                return f"input {i} is not understood"
    return ""


def _is_inert(kind: onnx.defs.OpSchema | None, index: int) -> bool:
    return kind is not None and index < len(kind.inputs) and kind.inputs[index].name in _INERT


def _default(proto: onnx.AttributeProto) -> Any:
    return plain_attribute(ir.serde.deserialize_attribute(proto)) if proto.type else None


@cache
def schema(op_type: str, opset: int, domain: str) -> onnx.defs.OpSchema | None:
    """The format's own description of an operator, None outside its domains."""
    try:
        return onnx.defs.get_schema(op_type, opset, domain)
    except onnx.defs.SchemaError:
        return None
