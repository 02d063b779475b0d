"""An ONNX model open for work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
import onnx_ir as ir

from ...ir import Array, Executor, Graph, UnsupportedError, VerificationError
from .._session import UnchangedSize
from ._capture import capture
from ._executor import executor_of
from ._inputs import example_data
from ._load import as_given, is_graphsurgeon, load
from ._replay import replay
from ._run import run


@dataclass(frozen=True)
class OnnxSession:
    """See :class:`prunepass.hosts.Session`.

    Attributes:
        source: what the user gave; results come back in its form, a path gives an ``onnx_ir.Model``.
        model: the checked model.
        examples: the user's example arrays by input name, where they are arrays.
    """

    source: Any
    model: ir.Model
    graph: Graph
    examples: Mapping[str, Array] | None
    form: str = "onnx"
    _changed: list[Callable[[], object]] = field(default_factory=list, compare=False)

    def replay(self, before: Graph, after: Graph, *, inplace: bool) -> Any:
        """The model changed as ``before`` became ``after``; a file is never changed, whatever ``inplace``."""
        own = inplace and self.source is self.model
        if inplace:
            self._changed.append(_restorer(self.source, whole=own))
        result = replay(self.model, before, after, inplace=own)
        if own or not inplace:
            return as_given(self.source, result)
        return _moved_into(self.source, result)

    def constrain(self, before: Graph, mismatch: UnsupportedError) -> Graph:
        """``before`` with everything pinned that the node of ``mismatch`` reads and makes."""
        place = str(mismatch.where or "")
        node = next((node for node in before.nodes if str(node.origin) == place), None)
        if node is None:
            return before
        names = dict.fromkeys(name for name in (*node.inputs, *node.outputs) if name is not None)
        pins = tuple(
            (name, axis, f"{node.name}: {mismatch.what}")
            for name in names
            for axis in range(len(before.tensor(name).shape))
        )
        held = {(name, axis) for name, axis, _ in before.pins}
        new = tuple(pin for pin in pins if pin[:2] not in held)
        return replace(before, pins=(*before.pins, *new)) if new else before

    def undo(self) -> None:
        """The user's own model as it was before anything was replayed onto it."""
        while self._changed:
            self._changed.pop()()

    def explain(self, model: Any, before: Graph, after: Graph, what: str) -> None:
        """An ONNX model has no code of its own that could part from the graph."""

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs of ``model`` in its own precision, in order."""
        opened = load(model)
        made = run(opened, feeds)
        lost = [name for name in self.graph.outputs if name not in made]
        if lost:
            raise VerificationError(f"the model lacks the outputs {lost}", where=opened.graph.name)
        return [made[name] for name in self.graph.outputs]

    def unchanged(self, model: Any) -> tuple[UnchangedSize, ...]:
        """None: a file keeps no sizes beside its tensors and operations."""
        return ()

    def executor(self, graph: Graph | None = None, *, dtype: str = "float32") -> Executor:
        """An executor of the model, or of ``graph``, cut from it, by ONNX Runtime."""
        return executor_of(self.model, self.graph, graph, dtype)

    def feeds(self) -> Mapping[str, Array] | None:
        """The example inputs that the user gave as arrays."""
        return self.examples


def open_session(model: Any, example_inputs: Any = None) -> OnnxSession:
    """Open, check and capture an ONNX model.

    Args:
        model: path, ``onnx.ModelProto``, ``onnx_ir.Model`` or ``onnx_graphsurgeon.Graph``.
        example_inputs: arrays or shapes, by input name, in order, or one alone.

    Raises:
        UsageError, ModelError: see :func:`load` and :func:`capture`.
    """
    opened = load(model)
    graph = capture(opened, example_inputs)
    return OnnxSession(model, opened, graph, example_data(opened, example_inputs))


def _restorer(source: Any, *, whole: bool) -> Callable[[], None]:
    """A function that restores ``source`` as it is now; ``whole`` where its own nodes are about to be edited."""
    held: dict[str, Any] = {}
    functions: dict[Any, Any] = {}
    if isinstance(source, onnx.ModelProto):
        kept = onnx.ModelProto()
        kept.CopyFrom(source)
        return lambda: source.CopyFrom(kept)
    if isinstance(source, ir.Model):
        held, functions = {"graph": (source.clone() if whole else source).graph}, dict(source.functions)
    elif is_graphsurgeon(source):
        held = {name: getattr(source, name) for name in ("nodes", "inputs", "outputs")}

    def restore() -> None:
        for name, value in held.items():
            setattr(source, name, value)
        if functions:
            source.functions.update(functions)

    return restore


def _moved_into(source: Any, result: ir.Model) -> Any:
    """``source`` itself, holding what ``result`` holds."""
    given = as_given(source, result)
    if isinstance(source, onnx.ModelProto):
        source.CopyFrom(given)
        return source
    if isinstance(source, ir.Model):
        source.graph = result.graph
        source.functions.clear()
        return source
    if is_graphsurgeon(source):
        source.nodes, source.inputs, source.outputs = given.nodes, given.inputs, given.outputs
        return source
    return given
