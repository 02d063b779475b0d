"""The neutral graph: immutable values that every host is captured into and every pass maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._errors import ModelError
from ._origin import Origin

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Attrs: TypeAlias = Mapping[str, Any]
Foreign: TypeAlias = Callable[..., tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that flows: its name, concrete shape and numpy dtype name (``bfloat16`` included)."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class Param:
    """A tensor that the model carries: weight, buffer or constant.

    ``source`` reads the data when it is needed; until then it stays where it is (on disk, in the module).
    ``trained`` tells a weight or statistic of the model from a constant that a capture made up (a scalar
    in the source, a folded table), and ``origin`` where in the source such a constant is made.
    """

    name: str
    shape: Shape
    dtype: str
    source: Callable[[], Array] = field(compare=False, repr=False)
    trained: bool = True
    origin: Origin = field(default=Origin(), compare=False)

    def read(self) -> Array:
        """The data, of ``shape``; treat it as read-only."""
        return self.source()

    @property
    def is_float(self) -> bool:
        return is_float(self.dtype)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: unique in the graph; the host's own node name where it has one.
        op: name of the operator's declaration.
        inputs: names of values or params by operand position, None where an optional one is absent.
        outputs: names of the values it makes.
        attrs: attributes in the neutral form that the operator declares.
        origin: where it stands in the user's model.
        foreign: evaluates the node in its host, for operators that no declaration covers.
        entries: of a node that draws at random which entries of the uncut result, by axis, a cut has left.
    """

    name: str
    op: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    attrs: Attrs = field(default_factory=dict)
    origin: Origin = Origin()
    foreign: Foreign | None = field(default=None, compare=False, repr=False)
    entries: tuple[npt.NDArray[np.int64] | None, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tie:
    """Axes of params that the host needs equal in its own form (``axis`` of ``param``), with the reason."""

    left: tuple[str, int]
    right: tuple[str, int]
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One way in which the host runs a model that it can run in several.

    Attributes:
        nodes: what is computed, in order, by name.
        outputs: what comes out.
        training: paths of the modules that are in training mode.
    """

    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    training: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """A captured model: nodes in topological order over named values and params.

    Rebuilding is free (data is shared), analyses are memoised per graph object, and ``new is not old``
    means modified.

    Attributes:
        host: the kind of model it was captured from (``torch`` or ``onnx``).
        ties: equalities that the host's form adds to those of the operators.
        pins: ``(param or value, axis, reason)`` that the host or the user forbids to cut.
        runs: where the host runs the model in other ways as well, the one that gives ``outputs`` first.
        unread: params that the host's model carries and no run reads.
        free: outputs whose channels may be cut; all others stay as they are.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    params: Mapping[str, Param]
    host: str = ""
    ties: tuple[Tie, ...] = ()
    pins: tuple[tuple[str, int, str], ...] = ()
    runs: tuple[Run, ...] = ()
    unread: tuple[Param, ...] = ()
    free: tuple[str, ...] = ()
    _memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def tensor(self, name: str) -> Value | Param:
        """The value or param called ``name``."""
        found = self.values.get(name) or self.params.get(name)
        if found is None:
            raise ModelError(f"tensor '{name}' is read but never made", where=self.name)
        return found

    def only(self, run: Run) -> Graph:
        """The part of the graph that one of ``runs`` computes."""
        named = {node.name: node for node in self.nodes}
        return replace(self, nodes=tuple(named[name] for name in run.nodes), outputs=run.outputs, runs=())

    def memo(self, key: Any, make: Callable[[Graph], Any]) -> Any:
        """``make(self)``, computed once for this graph object."""
        if key not in self._memo:
            self._memo[key] = make(self)
        return self._memo[key]

    @property
    def freed(self) -> tuple[str, ...]:
        """Outputs whose channels may be cut."""
        return tuple(name for name in self.outputs if name in self.free)

    @property
    def readers(self) -> Mapping[str, tuple[tuple[Node, int], ...]]:
        """For each tensor the ``(node, operand position)`` pairs that read it."""
        result: Mapping[str, tuple[tuple[Node, int], ...]] = self.memo("readers", _readers)
        return result

    @property
    def producers(self) -> Mapping[str, Node]:
        """For each value the node that makes it."""
        result: Mapping[str, Node] = self.memo(
            "producers", lambda graph: {out: node for node in graph.nodes for out in node.outputs}
        )
        return result

    @property
    def needed(self) -> frozenset[str]:
        """Names of the nodes that the outputs depend on: what is left when the model is deployed."""
        result: frozenset[str] = self.memo("needed", _needed)
        return result


def _needed(graph: Graph) -> frozenset[str]:
    wanted, found = set(graph.outputs), set[str]()
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            found.add(node.name)
            wanted.update(name for name in node.inputs if name is not None)
    return frozenset(found)


def _readers(graph: Graph) -> dict[str, tuple[tuple[Node, int], ...]]:
    found: dict[str, list[tuple[Node, int]]] = {}
    for node in graph.nodes:
        for position, name in enumerate(node.inputs):
            if name is not None:
                found.setdefault(name, []).append((node, position))
    return {name: tuple(reads) for name, reads in found.items()}


def is_float(dtype: str) -> bool:
    """Return whether ``dtype`` names a floating type."""
    return "float" in dtype


def constant(name: str, data: Array) -> Param:
    """A Param over data that a capture made up."""
    data = np.asarray(data)
    return Param(name, data.shape, data.dtype.name, lambda: data, trained=False)
