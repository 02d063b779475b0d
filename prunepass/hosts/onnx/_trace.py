"""Walking a model once: every node read, typed, folded where it is shape arithmetic, or left foreign.

Shapes come from the operators' own rules. Whatever is computed from known integers (shape arithmetic) is
evaluated on the spot by the declarations and becomes a constant; computed weights stay nodes, so that the
initializer below them can be cut.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from ...ir import Call, Node, Op, Origin, PrunepassError, Rule, Shape, UnsupportedError, sizes
from ._check import EXPORT
from ._fold import FOREIGN, Folder, Guide, call_on
from ._foreign import captured
from ._inputs import Sizes
from ._ledger import Ledger, Site
from ._results import Typing
from ._runner import Runner
from ._spell import Reading, left_alone, read
from ._types import (
    OPAQUE,
    const_tensor,
    dtype_name,
    is_constant,
    kind_of,
    named,
    node_names,
    opsets_of,
)


class _MisfitError(UnsupportedError):
    """An operand is not as large as the others make it."""


class Trace:
    """The walk and what it leaves behind: neutral ``nodes`` over ONNX names, ``sites`` and the ``ledger``."""

    def __init__(
        self,
        model: ir.Model,
        inputs: Sizes,
        *,
        guide: Guide | None = None,
        given: Mapping[str, Shape] | None = None,
        computed: Collection[str] = (),
    ) -> None:
        """Prepare the walk.

        Args:
            given: shapes for results that only data could tell.
            computed: results that stay results of nodes, whatever could be folded by now: what a whole model
                computes from a weight is no shape arithmetic in its cut one, however few entries are left.
        """
        self.model, self.inputs, self._guide = model, inputs, guide or Guide()
        self.opsets = opsets_of(model)
        self.nodes: list[Node] = []
        self.sites: dict[str, Site] = {}
        self.ledger = Ledger(inputs.data)
        self._typing = Typing(self.ledger, self.opsets, inputs.symbols, given or {})
        kept = frozenset((*(str(value.name) for value in model.graph.outputs), *computed))
        self.folder = Folder(self.ledger, self._guide, kept)

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
            except _MisfitError as error:
                raise UnsupportedError(error.what, where=Origin(name), advice=EXPORT) from None
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
        return read(node, self.opsets, self.folder.known)

    def _declared(self, name: str, node: ir.Node, reading: Reading) -> None:
        operands = named(node.inputs[slot] if slot is not None else None for slot in reading.slots)
        call = call_on(self.ledger, name, operands)
        call = replace(call, attrs=self._guide.attrs(name, reading, call.shapes))
        rule = reading.op.rule(call)
        _check_operands(reading.op, rule, call)
        site = Site(name, node, operands, reading, call.attrs)
        if len(site.outputs) > len(rule.results):
            raise UnsupportedError(f"result {len(rule.results)} is not declared")
        shapes = tuple(sizes(dims) for dims in rule.results[: len(site.outputs)])
        self._announce(site, shapes, self._typing.dtypes(site))
        meta = frozenset(i for i, dims in enumerate(rule.operands) if dims is None or i in rule.sized)
        if not self.folder.fold(site, replace(call, results=shapes), meta):
            self.nodes.append(Node(name, reading.op.name, operands, site.outputs, call.attrs, Origin(name)))

    def _undeclared(self, name: str, node: ir.Node, reason: str) -> None:
        own = [value.name if value is not None and value.name else None for value in node.inputs]
        operands = (*own, *(value.name for value in captured(node) if value.name not in own))
        dtypes = {read: self.ledger.tensor(read).dtype for read in operands if read is not None}
        runner = Runner(ir.to_proto(node), self.opsets, operands, dtypes)
        known = left_alone(node, self.opsets)
        said = {"reason": reason} if known is None else {"reason": known.opaque, "advice": known.advice}
        site = Site(name, node, operands, None, {"kind": kind_of(node), **said}, runner)
        made = self._typing.foreign(site)
        shapes = tuple(typed.shape or () for typed in made)
        self._announce(site, shapes, tuple(typed.dtype for typed in made))
        call = replace(call_on(self.ledger, name, operands), attrs=site.attrs, results=shapes, foreign=runner)
        if not self.folder.fold(site, call, frozenset()):
            self.nodes.append(Node(name, FOREIGN, operands, site.outputs, site.attrs, Origin(name), runner))

    def _announce(self, site: Site, shapes: Sequence[Shape], dtypes: Sequence[str]) -> None:
        self.sites[site.name] = site
        for name, shape, dtype in zip(site.outputs, shapes, dtypes, strict=False):
            self.ledger.make(name, shape, dtype)
            self.ledger.makers[name] = site


def _check_operands(op: Op, rule: Rule, call: Call) -> None:
    """Hold every operand against the sizes that the operator's rule gives it beside the others."""
    for position, (dims, shape) in enumerate(zip(rule.operands, call.shapes, strict=False)):
        if dims is not None and shape is not None and sizes(dims) != shape:
            raise _MisfitError(
                f"the {op.operand(position) or 'operand'} of '{op.name}' has shape {shape}, "
                f"the other operands ask for {sizes(dims)}"
            )
