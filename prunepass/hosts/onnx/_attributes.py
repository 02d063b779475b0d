"""Finding raw attributes whose neutral form is the wanted one.

A spelling says how to read attributes, not how to write them. So a few ways of writing are tried, those
first that keep what stands for "whatever it is" (0, -1, sizes of 1 that broadcast), and each is read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir

from ...ir import Array, Attrs, PrunepassError, UnsupportedError
from ._edit import Change, Editor, constant_behind
from ._foreign import Typed, infer
from ._guide import AttributeFix, same_attrs, same_value
from ._ledger import Site
from ._spell import Place, places_of, schema
from ._trace import Trace
from ._types import const_tensor, dtype_name, plain_attribute, tensor_shape


def rewritten(fix: AttributeFix, old: Attrs) -> dict[str, Any]:
    """Raw attributes to change, by neutral name.

    Raises:
        UnsupportedError: no way of writing them reads back as wanted.
    """
    have = fix.have or old
    names = [
        name for name, value in fix.want.items() if name not in have or not same_value(have[name], value)
    ]
    names += [
        name for name, value in fix.want.items() if name not in names and not same_value(old.get(name), value)
    ]
    spelled = [name for name in names if name in fix.reading.spelling.attrs]
    ways = [list(_ways(fix.reading.raw.get(name), fix.have, name, fix.want[name])) for name in spelled]
    for chosen in product(*ways):
        raw = dict(zip(spelled, chosen, strict=True))
        try:
            if same_attrs(fix.reading.neutral(fix.shapes, **raw), fix.want):
                return raw
        except PrunepassError:
            continue
    raise UnsupportedError(f"{', '.join(names) or 'an attribute'} cannot be written as {dict(fix.want)}")


def _ways(raw: Any, have: Attrs | None, name: str, want: Any) -> Iterator[Any]:
    now = None if have is None else have.get(name)
    if isinstance(raw, tuple) and isinstance(want, tuple) and len(raw) == len(want):
        right = [False] * len(want)
        if isinstance(now, tuple) and len(now) == len(want):
            right = [h == w for h, w in zip(now, want, strict=True)]
        for special in ({0, -1}, {-1}, {0}, set[int]()):
            yield tuple(r if r in special or ok else w for r, ok, w in zip(raw, right, want, strict=True))
    if isinstance(raw, tuple) and not isinstance(want, tuple):
        yield (want,)
    if isinstance(raw, int) and isinstance(want, tuple) and len(want) == 1:
        yield want[0]
    yield want


class Writer:
    """Writes raw attributes where the node keeps them."""

    def __init__(self, editor: Editor, trace: Trace, original: Trace, other: Trace | None) -> None:
        """``trace`` saw the half-cut model, ``original`` the whole one, ``other`` that at different sizes."""
        self._editor, self._trace, self._original, self._other = editor, trace, original, other

    def write(self, site: Site, raw: dict[str, Any]) -> None:
        """Change the node of ``site``.

        Raises:
            UnsupportedError: the format has no place for an attribute.
        """
        assert site.reading is not None
        grown = False
        for name, value in raw.items():
            place = site.reading.places.get(name)
            if place is None:
                place, grown = self._new_place(site, name), True
            if isinstance(place, str):
                old = site.node.attributes.get(place)
                site.node.attributes[place] = _attribute(place, value, old)
            else:
                self._operand(site, place, np.asarray(value))
        if grown:
            self._drop_rivals(site)

    def _operand(self, site: Site, index: int, want: Array) -> None:
        value = site.node.inputs[index] if index < len(site.node.inputs) else None
        if value is None or constant_behind(value) is not None:
            self._editor.set_constant([(site.node, index)], want)
            return
        have = self._trace.folder.known(str(value.name))
        assert have is not None
        self.replace(value, [(site.node, index)], have, want)

    def replace(self, value: ir.Value, uses: list[tuple[ir.Node, int]], have: Array, want: Array) -> None:
        """Let ``uses`` of a computed value read ``want`` where they read ``have`` at the captured sizes."""
        dynamic = self._dynamic(str(value.name), have)
        if not dynamic.any():
            self._editor.set_constant(uses, want)
        elif have.size != want.size:
            raise UnsupportedError(f"{have.size} computed sizes cannot become {want.size}")
        else:
            change = Change(have, want.reshape(have.shape).astype(have.dtype), dynamic)
            self._editor.correct(value, uses, change)

    def _dynamic(self, name: str, have: Array) -> Array:
        """A mask of entries that depend on symbolic dims; all of them where that is unknown."""
        if not self._trace.inputs.symbols:
            return np.zeros(have.shape, dtype=bool)
        here = None if self._other is None else self._other.folder.known(name)
        there = self._original.folder.known(name)
        if here is None or there is None or here.shape != there.shape:
            return np.ones(have.shape, dtype=bool)
        return np.asarray(here != there)

    def _new_place(self, site: Site, name: str) -> Place:
        """The place of an attribute that the node did not have: the first place that its operator set knows."""
        reading = site.reading
        assert reading is not None
        kind = schema(
            site.node.op_type, reading.opset, "" if site.node.domain == "ai.onnx" else site.node.domain
        )
        for place in places_of(reading.spelling, name):
            if kind is None or (
                place in kind.attributes if isinstance(place, str) else place < len(kind.inputs)
            ):
                return place
        raise UnsupportedError(f"there is no place for '{name}'")

    def _drop_rivals(self, site: Site) -> None:
        """A new input may exclude an attribute: drop the one without which the schema accepts the node."""
        node = site.node
        if not self._refused(node):
            return
        for name, attribute in list(node.attributes.items()):
            del node.attributes[name]
            if not self._refused(node):
                return
            node.attributes[name] = attribute
        raise UnsupportedError(f"'{node.op_type}' does not take these attributes together")

    def _refused(self, node: ir.Node) -> str:
        reads, data = [], {}
        for value in node.inputs:
            if value is None:
                continue
            tensor = const_tensor(value)
            if tensor is None:
                reads.append(self._trace.ledger.typed(str(value.name)))
            else:
                reads.append(Typed(str(value.name), tensor_shape(tensor), dtype_name(tensor.dtype)))
                data[str(value.name)] = tensor.numpy()
        return infer(node, self._trace.opsets, reads, data)[1]


def _attribute(name: str, value: Any, old: ir.Attr | None) -> ir.Attr:
    if old is not None and old.type == ir.AttributeType.INTS and isinstance(value, int):
        value = (value,) * len(plain_attribute(old))
    if isinstance(value, tuple) and any(isinstance(item, float) for item in value):
        return ir.AttrFloat32s(name, [float(item) for item in value])
    if isinstance(value, tuple):
        return ir.AttrInt64s(name, [int(item) for item in value])
    return ir.AttrFloat32(name, value) if isinstance(value, float) else ir.AttrInt64(name, int(value))
