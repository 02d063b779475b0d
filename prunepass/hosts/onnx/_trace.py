"""Walking a model once: every node read, typed, folded where it is shape arithmetic, or left foreign.

Shapes come from the operators' own rules. Whatever is computed from known integers (shape arithmetic) is
evaluated on the spot by the declarations and becomes a constant; computed weights stay nodes, so that the
initializer below them can be cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import onnx_ir as ir

from ...ir import Array, Call, Node, Origin, PrunepassError, UnsupportedError, registry, sizes
from ...ir._graph import Attrs, Shape
from ._foreign import captured
from ._inputs import Sizes
from ._ledger import MOST_FOLDED, Ledger, Site
from ._results import Typing
from ._runner import Runner
from ._spell import Reading, read
from ._types import (
    OPAQUE,
    const_tensor,
    dtype_name,
    holds_sizes,
    is_constant,
    kind_of,
    named,
    node_names,
    numpy_dtype,
)

FOREIGN = "foreign"


class Guide:
    """What a walk takes attributes and folded constants to be: here, what the model says."""

    def attrs(self, site: str, reading: Reading, shapes: tuple[Shape | None, ...]) -> Attrs:
        """Neutral attributes of a node."""
        return reading.neutral(shapes)

    def constant(self, name: str, array: Array) -> Array:
        """A value that was folded."""
        return array


class Trace:
    """The walk and what it leaves behind: neutral ``nodes`` over ONNX names, ``sites`` and the ``ledger``."""

    def __init__(
        self,
        model: ir.Model,
        inputs: Sizes,
        *,
        guide: Guide | None = None,
        given: Mapping[str, Shape] | None = None,
    ) -> None:
        """``given`` holds shapes for results that only data could tell."""
        self.model, self.inputs, self._guide = model, inputs, guide or Guide()
        self.opsets = dict(model.opset_imports)
        self.nodes: list[Node] = []
        self.sites: dict[str, Site] = {}
        self.ledger = Ledger(inputs.data)
        self._typing = Typing(self.ledger, self.opsets, inputs.symbols, given or {})
        self._outputs = {value.name for value in model.graph.outputs}

    def run(self) -> Trace:
        """Walk the whole model.

        Raises:
            UnsupportedError: a node cannot be typed at these input sizes.
        """
        for value in self.model.graph.inputs:
            if (name := str(value.name)) in self.inputs.shapes:
                self.ledger.make(name, self.inputs.shapes[name], dtype_name(value.dtype))
        for value in self.model.graph.initializers.values():
            self.ledger.hold(value)
        for node, name in node_names(self.model.graph).items():
            if is_constant(node) and const_tensor(node.outputs[0]) is not None:
                self.ledger.hold(node.outputs[0])
            else:
                self._visit(node, name)
        return self

    def _visit(self, node: ir.Node, name: str) -> None:
        reading = self._read(node)
        if not isinstance(reading, str):
            try:
                return self._declared(name, node, reading)
            except PrunepassError as error:
                reading = error.what
            except Exception as error:  # a declaration that fails on a variant says nothing about it
                reading = f"{type(error).__name__}: {error}"
        try:
            self._undeclared(name, node, reading)
        except PrunepassError as error:
            why = error.what if reading == "no declaration" else f"{error.what} ({reading})"
            raise type(error)(why, where=Origin(name), advice=error.advice) from error

    def _read(self, node: ir.Node) -> Reading | str:
        loose = {value.name for value in node.inputs if value is not None} & self.ledger.loose.keys()
        if loose:
            opaque = any(self.ledger.tensor(str(name)).dtype == OPAQUE for name in loose)
            return "it works on a sequence" if opaque else "sizes depend on data"
        return read(node, self.opsets, self.known)

    def _declared(self, name: str, node: ir.Node, reading: Reading) -> None:
        operands = named(node.inputs[slot] if slot is not None else None for slot in reading.slots)
        call = self._call(name, operands)
        call = replace(call, attrs=self._guide.attrs(name, reading, call.shapes))
        rule = reading.op.rule(call)
        site = Site(name, node, operands, reading, call.attrs)
        if len(site.outputs) > len(rule.results):
            raise UnsupportedError(f"result {len(rule.results)} is not declared")
        shapes = tuple(sizes(dims) for dims in rule.results[: len(site.outputs)])
        self._announce(site, shapes, self._typing.dtypes(site))
        meta = frozenset(i for i, dims in enumerate(rule.operands) if dims is None)
        if not self._fold(site, replace(call, results=shapes), meta):
            self.nodes.append(Node(name, reading.op.name, operands, site.outputs, call.attrs, Origin(name)))

    def _undeclared(self, name: str, node: ir.Node, reason: str) -> None:
        own = [value.name if value is not None and value.name else None for value in node.inputs]
        operands = (*own, *(value.name for value in captured(node) if value.name not in own))
        dtypes = {read: self.ledger.tensor(read).dtype for read in operands if read is not None}
        runner = Runner(ir.to_proto(node), self.opsets, operands, dtypes)
        site = Site(name, node, operands, None, {"kind": kind_of(node), "reason": reason}, runner)
        made = self._typing.foreign(site)
        shapes = tuple(typed.shape or () for typed in made)
        self._announce(site, shapes, tuple(typed.dtype for typed in made))
        call = replace(self._call(name, operands), attrs=site.attrs, results=shapes, foreign=runner)
        if not self._fold(site, call, frozenset()):
            self.nodes.append(Node(name, FOREIGN, operands, site.outputs, site.attrs, Origin(name), runner))

    def _call(self, name: str, operands: Sequence[str | None]) -> Call:
        tensors = [None if read is None else self.ledger.tensor(read) for read in operands]

        def known(position: int) -> Array | None:
            read = operands[position] if position < len(operands) else None
            return None if read is None else self.ledger.constant(read)

        shapes = tuple(None if tensor is None else tensor.shape for tensor in tensors)
        dtypes = tuple(None if tensor is None else tensor.dtype for tensor in tensors)
        return Call({}, shapes, dtypes, known, origin=Origin(name))

    def _announce(self, site: Site, shapes: Sequence[Shape], dtypes: Sequence[str]) -> None:
        self.sites[site.name] = site
        for name, shape, dtype in zip(site.outputs, shapes, dtypes, strict=False):
            self.ledger.make(name, shape, dtype)
            self.ledger.makers[name] = site

    def _fold(self, site: Site, call: Call, meta: frozenset[int]) -> bool:
        """Evaluate shape arithmetic; whether the node is no part of the graph any more."""
        if any(name in self._outputs or not self._foldable(name) for name in site.outputs):
            return False
        arrays: list[Array | None] = []
        for i, name in enumerate(site.operands):
            array = None if name is None else self.ledger.sizes(name)
            if name is not None and array is None:
                if i not in meta:
                    return False
                array = self.ledger.blank(name)
            arrays.append(array)
        made = self._evaluate(site, call, tuple(arrays))
        for name, array in (made or {}).items():
            self.ledger.folded[name] = self._guide.constant(name, array)
        return made is not None

    def _foldable(self, name: str) -> bool:
        value = self.ledger.values[name]
        count = prod(value.shape)
        wide = holds_sizes(numpy_dtype(value.dtype))
        return name not in self.ledger.loose and (count == 1 or (wide and count <= MOST_FOLDED))

    def _evaluate(self, site: Site, call: Call, arrays: tuple[Array | None, ...]) -> dict[str, Array] | None:
        op = registry()[FOREIGN] if site.reading is None else site.reading.op
        try:
            with np.errstate(all="ignore"):
                results = op.run(call, arrays)
        except Exception:  # what a declaration cannot do with these values stays a node
            return None
        types = [self.ledger.values[name] for name in site.outputs]
        return {
            value.name: np.asarray(array).astype(numpy_dtype(value.dtype)).reshape(value.shape)
            for value, array in zip(types, results, strict=False)
        }

    def known(self, name: str) -> Array | None:
        """Data of a constant, or of a value whose whole cone consists of constants."""
        held = self.ledger.constant(name)
        return self.ledger.forced.get(name, self._forced(name)) if held is None else held

    def _forced(self, name: str) -> Array | None:
        site = self.ledger.makers.get(name)
        if site is None or name in self.ledger.loose:
            return None
        arrays: list[Array | None] = []
        for read_name in site.operands:
            array = None if read_name is None else self.known(read_name)
            if read_name is not None and array is None:
                return None
            arrays.append(array)
        shapes = tuple(self.ledger.values[out].shape for out in site.outputs)
        call = self._call(site.name, site.operands)
        call = replace(call, attrs=site.attrs, results=shapes, foreign=site.runner)
        made = self._evaluate(site, call, tuple(arrays))
        self.ledger.forced.update(made or {})
        return None if made is None else made.get(name)
