"""The batch of a graph: what grows when it runs more or fewer samples than it was captured with.

A capture bakes in how many samples its examples held. Every node's rule is asked what becomes of it at a batch
that no other size equals: the entries of attributes that must follow, and the axis of every result along which its
samples lie. A node that reads samples together, or that no declaration covers, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._call import call_of
from ._dims import Atom, Dim, Dims, Prod, leaves, sizes
from ._errors import PrunepassError
from ._graph import Attrs, Graph, Node, Param, Shape
from ._growth import Axes, Edit, Growth, shape_of
from ._op import Rule
from ._registry import registry

# No size of a network is a multiple of this one by chance.
_PROBE = 10007


@dataclass
class Batching:
    """The dependence of a graph on its batch.

    Attributes:
        size: samples at capture.
        axes: of values and made-up constants that grow the axis; samples are outermost along it.
        edits: of nodes with an attribute that grows its name and the entry, None for a plain number.
        refused: nodes that do not follow, with the reason; slices of the captured batch may be run one by one.
        together: nodes that read samples together, with the reason.
        unknown: values of which nobody knows along which axis their samples lie.
    """

    size: int
    axes: dict[str, int] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    together: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def batching(graph: Graph, inputs: frozenset[tuple[str, int]]) -> Batching:
    """The dependence of ``graph`` on an axis of each of these inputs; computed once for a graph."""
    found: Batching = graph.memo(("batching", inputs), lambda graph: _Probe(graph, inputs).run())
    return found


def rebatched(graph: Graph, how: Batching, count: int) -> Graph:
    """``graph`` at ``count`` samples: attributes, constants and shapes follow."""

    def shape(name: str, old: Shape) -> Shape:
        axis = how.axes.get(name)
        if axis is None:
            return old
        return (*old[:axis], old[axis] // how.size * count, *old[axis + 1 :])

    def grown(node: Node) -> Node:
        edit = how.edits.get(node.name)
        if edit is None:
            return node
        return replace(node, attrs=_edited(node.attrs, edit, lambda old: old // how.size * count))

    values = {name: replace(value, shape=shape(name, value.shape)) for name, value in graph.values.items()}
    params = {
        name: _table(param, how.axes[name], shape(name, param.shape)) if name in how.axes else param
        for name, param in graph.params.items()
    }
    return replace(graph, nodes=tuple(map(grown, graph.nodes)), values=values, params=params)


def _table(param: Param, axis: int, shape: Shape) -> Param:
    """A constant with as many rows as there are samples: all of its rows are alike."""
    return replace(
        param, shape=shape, source=lambda: np.take(param.read(), np.zeros(shape[axis], np.int64), axis)
    )


def _edited(attrs: Attrs, edit: Edit, change: Any) -> Attrs:
    name, entry = edit
    old = attrs[name]
    if entry is None:
        return {**attrs, name: change(old)}
    return {**attrs, name: tuple(change(one) if at == entry else one for at, one in enumerate(old))}


class _Probe:
    """Walks a graph at a batch of ``_PROBE`` times the samples, again until nothing else has to grow."""

    def __init__(self, graph: Graph, inputs: frozenset[tuple[str, int]]) -> None:
        self.graph, self.inputs = graph, dict(inputs)
        self.size = next((graph.values[name].shape[axis] for name, axis in inputs), 1)
        self.growth = Growth(graph, self.size)
        self.forced: dict[str, int] = {}

    def run(self) -> Batching:
        while True:
            known = len(self.forced)
            self.found = Batching(self.size, {**self.inputs, **self.forced})
            for node in self.graph.nodes:
                self._visit(node)
            if len(self.forced) == known:
                return self.found

    def _visit(self, node: Node) -> None:
        axes = {
            at: self.found.axes[name]
            for at, name in enumerate(node.inputs)
            if name is not None and name in self.found.axes
        }
        if self.found.unknown.intersection(name for name in node.inputs if name is not None):
            self.found.unknown.update(node.outputs)
            return
        if not axes and not self.forced.keys() & set(node.outputs):
            return
        attempts = self.growth.attempts(node, axes)
        first = self._tried(node, None, axes)
        if not isinstance(first, str):
            self._note(node, first, None, {})
        elif node.name not in self.found.together:
            for edit, more in attempts:
                made = self._tried(node, edit, {**axes, **more})
                if not isinstance(made, str):
                    self._note(node, made, edit, more)
                    return
            self._refuse(node, first, axes)

    def _note(self, node: Node, made: tuple[int | None, ...], edit: Edit | None, more: Axes) -> None:
        self.found.axes.update(
            {name: axis for name, axis in zip(node.outputs, made, strict=False) if axis is not None}
        )
        self.found.together.pop(node.name, None)
        if edit is not None:
            self.found.edits[node.name] = edit
        self.forced.update({str(node.inputs[at]): axis for at, axis in more.items()})

    def _refuse(self, node: Node, why: str, axes: Axes) -> None:
        """Note what keeps ``node`` as it is, and along which axis its results can be joined."""
        self.found.refused[node.name] = why
        batched = [(axis, shape_of(self.graph, node.inputs[at])) for at, axis in axes.items()]
        for name in node.outputs:
            shape = self.graph.values[name].shape if name else ()
            likely = [axis for axis, read in batched if len(shape) == len(read) and shape[axis] == read[axis]]
            if likely:
                self.found.axes[name] = likely[0]
            else:
                self.found.unknown.add(name)

    def _tried(self, node: Node, edit: Edit | None, axes: Axes) -> tuple[int | None, ...] | str:
        """The axes along which results grow, or why the node cannot be run so."""
        call = call_of(self.graph, node)
        shapes = tuple(
            _scaled(shape, axes[at]) if shape is not None and at in axes else shape
            for at, shape in enumerate(call.shapes)
        )
        attrs = call.attrs if edit is None else _edited(call.attrs, edit, lambda old: old * _PROBE)
        try:
            rule = registry()[node.op].rule(replace(call, attrs=attrs, shapes=shapes, results=()))
        except PrunepassError as error:
            return error.what
        except Exception as error:  # a rule that fails at sizes that contradict each other says so in any way
            return f"{type(error).__name__}: {error}"
        for dims, shape in zip(rule.operands, shapes, strict=False):
            if dims is not None and shape is not None and sizes(dims) != shape:
                return f"an operand of shape {shape} does not fit the others"
        return self._results(node, rule, axes)

    def _results(self, node: Node, rule: Rule, axes: Axes) -> tuple[int | None, ...] | str:
        batch = set[Atom]()
        for at, axis in axes.items():
            dims = rule.operands[at] if at < len(rule.operands) else None
            if dims is not None:
                lead = dims[axis].parts[0] if isinstance(dims[axis], Prod) else dims[axis]  # type: ignore[union-attr]
                if not isinstance(lead, Atom) or lead.size % (self.size * _PROBE):
                    return _pinned(dims[axis])
                batch.add(lead)
        if self._mixing(node, rule, batch):
            return self.found.together[node.name]
        if len(rule.results) < len(node.outputs):
            return "its results are not known"
        found: list[int | None] = []
        for name, dims in zip(node.outputs, rule.results, strict=False):
            along = self._axis(name, dims, batch)
            if isinstance(along, str):
                return along
            found.append(along)
        return tuple(found)

    def _mixing(self, node: Node, rule: Rule, batch: set[Atom]) -> bool:
        """Return whether ``node`` reads samples together; notes why."""
        reasons = [
            (dim, "it adds up or compares samples")
            for dim in (*rule.contracted, *rule.statistics, *rule.centred)
        ]
        for dims in rule.results:
            met = [dim for dim in dims if batch.intersection(leaves(dim))]
            reasons += [(dim, "samples meet in what it makes") for dim in met[1:]]
        for dim, reason in (*reasons, *rule.mixed, *rule.pins):
            if batch.intersection(leaves(dim)):
                self.found.together[node.name] = reason
                return True
        return False

    def _axis(self, name: str, dims: Dims, batch: set[Atom]) -> int | str | None:
        if not name:
            return None
        old, new = self.graph.values[name].shape, sizes(dims)
        found = [at for at, dim in enumerate(dims) if batch.intersection(leaves(dim))]
        if any(next(leaves(dims[at])) not in batch for at in found) or len(found) > 1:
            return "samples are not outermost in what it makes"
        if not batch:
            found = [at for at in range(len(old)) if len(new) == len(old) and new[at] == old[at] * _PROBE]
        axis = found[0] if found else None
        if axis != self.forced.get(name, axis):
            return f"'{name}' does not follow the batch"
        if new != (old if axis is None else _scaled(old, axis)):
            return f"'{name}' would have shape {new}"
        return axis


def _scaled(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], shape[axis] * _PROBE, *shape[axis + 1 :])


def _pinned(dim: Dim) -> str:
    pins = [str(pin) for leaf in leaves(dim) for pin in getattr(leaf, "pins", ())]
    return pins[0] if pins else "samples are not outermost in what it reads"
