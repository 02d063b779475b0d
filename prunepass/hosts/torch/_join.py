"""One graph of a model that its host runs in several ways: what they share stands in it once."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np

from ...ir import Graph, Node, Param, Run, UnsupportedError


def joined(base: Graph, other: Graph, own: Collection[str], training: tuple[str, ...]) -> Graph:
    """``base`` and what ``other``, the same model in another mode, computes beyond it.

    Nodes of ``other`` that compute what a node of ``base`` computes are that node. Its further outputs are
    pinned as outputs are.

    Args:
        own: names of the tensors of the model; params of other names are constants.
        training: paths of the modules that were in training mode.

    Raises:
        UnsupportedError: they read other inputs.
    """
    builder = _Joint(base, other, frozenset(own))
    nodes = tuple(builder.place(node) for node in other.nodes)
    outputs = tuple(dict.fromkeys(builder.names[name] for name in other.outputs))
    runs = base.runs or (Run(tuple(node.name for node in base.nodes), base.outputs),)
    return replace(
        base,
        nodes=(*base.nodes, *builder.nodes),
        values=builder.values,
        params=builder.params,
        ties=tuple(dict.fromkeys((*base.ties, *other.ties))),
        pins=(*base.pins, *_output_pins(builder, outputs)),
        runs=(*runs, Run(nodes, outputs, training)),
    )


def _output_pins(builder: _Joint, outputs: tuple[str, ...]) -> tuple[tuple[str, int, str], ...]:
    reason = "model output in training"
    axes = [(name, range(len(builder.values[name].shape))) for name in outputs if name in builder.values]
    return tuple(
        (name, axis, reason) for name, found in axes if name not in builder.base.outputs for axis in found
    )


@dataclass
class _Joint:
    """Names of ``other`` in the joint graph, and what it adds."""

    base: Graph
    other: Graph
    own: frozenset[str]
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        base, other = self.base, self.other
        shapes = [[graph.values[name].shape for name in graph.inputs] for graph in (base, other)]
        if shapes[0] != shapes[1]:
            raise UnsupportedError("in another mode the model reads other inputs")
        self.names = dict(zip(other.inputs, base.inputs, strict=True))
        self.values, self.params = dict(base.values), dict(base.params)
        self._taken = {*self.own, *self.values, *self.params}
        self._taken_nodes = {node.name for node in base.nodes}
        self._digests: dict[int, str] = {}
        self._known: dict[Any, deque[Node]] = defaultdict(deque)
        for node in base.nodes:
            self._known[self._key(base, node, {})].append(node)

    def place(self, node: Node) -> str:
        """The name of the node that computes what ``node`` of ``other`` computes; one is added if there is none."""
        known = self._known.get(self._key(self.other, node, self.names))
        if known:
            twin = known.popleft()
        else:
            twin = replace(
                node,
                name=_free(node.name, self._taken_nodes),
                inputs=tuple(self._read(name) for name in node.inputs),
                outputs=tuple(self._make(name) for name in node.outputs),
            )
            self.nodes.append(twin)
        self.names.update(zip(node.outputs, twin.outputs, strict=True))
        return twin.name

    def _read(self, name: str | None) -> str | None:
        if name is None or name not in self.other.params:
            return name if name is None else self.names[name]
        if name in self.own:
            self.params.setdefault(name, self.other.params[name])
        elif name not in self.names:
            self.names[name] = _free(name, self._taken)
            self.params[self.names[name]] = replace(self.other.params[name], name=self.names[name])
        return self.names.get(name, name)

    def _make(self, name: str) -> str:
        if not name:
            return name
        made = _free(name, self._taken)
        self.values[made] = replace(self.other.values[name], name=made)
        return made

    def _key(self, graph: Graph, node: Node, names: dict[str, str]) -> Any:
        """Equal for nodes that compute the same at the same place."""
        reads = tuple(self._operand(graph, name, names) for name in node.inputs)
        results = tuple(graph.values[name].shape if name else None for name in node.outputs)
        return node.op, node.origin, reads, results, _plain(node.attrs)

    def _operand(self, graph: Graph, name: str | None, names: dict[str, str]) -> Any:
        if name is None or name in self.own or name not in graph.params:
            return name if name is None else names.get(name, name)
        return self._digest(graph.params[name])

    def _digest(self, param: Param) -> str:
        if id(param) not in self._digests:
            self._digests[id(param)] = _digest(param.read())
        return self._digests[id(param)]


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken, and from now on is."""
    name = f"training.{name}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _digest(data: Any) -> str:
    array = np.ascontiguousarray(data)
    return sha256(f"{array.shape}{array.dtype}".encode() + array.tobytes()).hexdigest()


def _plain(value: Any) -> Any:
    """An attribute as something that can be compared and hashed."""
    if isinstance(value, np.ndarray):
        return _digest(value)
    if isinstance(value, (tuple, list)):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "items"):
        return tuple((key, _plain(item)) for key, item in sorted(value.items()))
    return repr(value)
