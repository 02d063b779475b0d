"""A part of an ONNX model as a model of its own: from any values to any others, with other weights and masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ...ir import Array, Graph, Node, UnsupportedError
from ._trace import Trace
from ._types import node_names, opsets_of

_WHERE_SINCE = 9
_INITIALIZERS_ALONE_SINCE = 4


@dataclass(frozen=True)
class Segment:
    """The specification of a part.

    Attributes:
        given: values that are fed.
        wanted: values that come out.
        params: of the graph that are fed instead of read.
        masks: ``(node, operand position)`` of reads that are multiplied by what is fed.
        free: whether sizes are computed anew from the inputs, for other numbers of samples than the capture's.
    """

    given: frozenset[str]
    wanted: frozenset[str]
    params: frozenset[str] = frozenset()
    masks: frozenset[tuple[str, int]] = frozenset()
    free: bool = False


def param_feed(name: str) -> str:
    """The input by which a param is fed."""
    return f"{name}@param"


def mask_feeds(node: str, position: int) -> tuple[str, str]:
    """The inputs by which a mask is fed, and where it is not 0."""
    return f"{node}@{position}@mask", f"{node}@{position}@kept"


class SegmentWriter:
    """Cuts parts out of one model.

    Args:
        trace: of ``model`` at the sizes of ``graph``, which was captured from it.
    """

    def __init__(self, trace: Trace, graph: Graph) -> None:
        self._trace, self._graph = trace, graph
        self._nodes = {node.name: node for node in graph.nodes}

    def write(self, segment: Segment) -> ir.Model:
        """The part as a model; its weights are shared.

        Raises:
            UnsupportedError: a value, or a place to mask, is none of the file.
        """
        draft = _Draft(self._trace.model, self._graph)
        wanted = {name: draft.value(name) for name in sorted(segment.wanted)}
        for name in sorted(segment.given - set(self._graph.inputs)):
            draft.feed(name)
        if not segment.free:
            for name, array in self._trace.ledger.folded.items():
                if name not in segment.given:
                    draft.fix(name, array)
        for name in sorted(segment.params):
            uses = [self._use(draft, node, at) for node, at in self._graph.readers.get(name, ())]
            draft.redirect(uses, draft.input(param_feed(name), self._graph.params[name].dtype))
        for place in sorted(segment.masks):
            read = self._nodes[place[0]].inputs[place[1]]
            if read is None:
                raise UnsupportedError("there is nothing to mask", where=place[0])
            use = self._use(draft, self._nodes[place[0]], place[1])
            draft.mask(mask_feeds(*place), use, self._graph.tensor(read).dtype)
        return draft.finished(wanted.values())

    def _use(self, draft: _Draft, node: Node, position: int) -> tuple[ir.Node, int]:
        """The input of an ONNX node that an operand is."""
        site = self._trace.sites[node.name]
        slots = range(len(site.node.inputs)) if site.reading is None else site.reading.slots
        slot = slots[position] if position < len(slots) else None
        if slot is None:
            raise UnsupportedError("the format has no input for this operand", where=node.name)
        return draft.nodes[node.name], slot


class _Draft:
    """A copy of a model on its way to a part of it."""

    def __init__(self, model: ir.Model, graph: Graph) -> None:
        self.model, self._neutral = model.clone(), graph
        self._graph = self.model.graph
        self.nodes = {name: node for node, name in node_names(self._graph).items()}
        self._values = {str(value.name): value for value in self._graph.inputs}
        self._values.update({str(value.name): value for value in self._graph.initializers.values()})
        for name, node in self.nodes.items():
            for at, out in enumerate(node.outputs):
                out.name = out.name or f"{name}:{at}"
                self._values[out.name] = out
        self._fed: list[ir.Value] = []

    def value(self, name: str) -> ir.Value:
        """Raises UnsupportedError where the file has none of this name."""
        if name not in self._values:
            raise UnsupportedError(f"the model has no value '{name}'")
        return self._values[name]

    def input(self, name: str, dtype: str) -> ir.Value:
        """A new input of open shape."""
        made = ir.Value(name=name, type=ir.TensorType(_dtype(dtype)))
        self._fed.append(made)
        return made

    def feed(self, name: str) -> None:
        """Let what reads a value read an input of the same name."""
        old = self.value(name)
        old.name = f"{name}@made"
        old.replace_all_uses_with(self.input(name, self._neutral.values[name].dtype))

    def fix(self, name: str, array: Array) -> None:
        """Let what reads shape arithmetic read what it came to."""
        old = self._values.get(name)
        if old is None or not old.uses() or old.is_graph_output():
            return
        tensor = ir.Tensor(np.ascontiguousarray(array), name=f"{name}@fixed")
        made = ir.Value(
            name=tensor.name,
            const_value=tensor,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
        )
        self._graph.register_initializer(made)
        old.replace_all_uses_with(made)

    def redirect(self, uses: Iterable[tuple[ir.Node, int]], value: ir.Value) -> None:
        for node, slot in uses:
            node.replace_input_with(slot, value)

    def mask(self, feeds: tuple[str, str], use: tuple[ir.Node, int], dtype: str) -> None:
        """Multiply one read; what is multiplied by 0 is 0, infinities too."""
        (factor, kept), (node, slot) = feeds, use
        read = node.inputs[slot]
        assert read is not None
        made = self._before(node, "Mul", [read, self.input(factor, dtype)], f"{factor}ed")
        if opsets_of(self.model).get("", _WHERE_SINCE) >= _WHERE_SINCE:
            zero = ir.Tensor(np.zeros((), _dtype(dtype).numpy()), name=f"{factor}@zero")
            nothing = ir.Value(
                name=zero.name, const_value=zero, shape=ir.Shape(()), type=ir.TensorType(zero.dtype)
            )
            self._graph.register_initializer(nothing)
            made = self._before(node, "Where", [self.input(kept, "bool"), made, nothing], f"{kept}ed")
        node.replace_input_with(slot, made)

    def _before(self, node: ir.Node, kind: str, reads: list[ir.Value], name: str) -> ir.Value:
        made = ir.Node("", kind, reads, name=name, num_outputs=1)
        made.outputs[0].name = name
        self._graph.insert_before(node, made)
        return made.outputs[0]

    def finished(self, wanted: Iterable[ir.Value]) -> ir.Model:
        """The model that gives ``wanted``, with the inputs that this takes and nothing else."""
        graph = self._graph
        graph.outputs.clear()
        graph.outputs.extend(wanted)
        graph.inputs.extend(self._fed)
        RemoveUnusedNodesPass()(self.model)
        read = [value for value in graph.inputs if value.uses() and not value.is_initializer()]
        graph.inputs.clear()
        graph.inputs.extend(read)
        # Before, initializers had to be inputs as well.
        self.model.ir_version = max(self.model.ir_version, _INITIALIZERS_ALONE_SINCE)
        return self.model


def _dtype(name: str) -> ir.DataType:
    return ir.DataType[name.upper().replace("FLOAT32", "FLOAT").replace("FLOAT64", "DOUBLE")]
