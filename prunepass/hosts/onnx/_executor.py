"""Running a captured graph by ONNX Runtime, part by part."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx_ir as ir

from ...ir import (
    Array,
    Graph,
    Loss,
    Masks,
    Node,
    NumpyExecutor,
    Slices,
    Spot,
    UnsupportedError,
    Walk,
    is_float,
    no_gradients,
    registry,
    slices_of,
)
from ._inputs import at_sizes, model_inputs, symbol
from ._parts import held_bytes, parts_of
from ._replay import replay
from ._run import Portable
from ._segment import Segment, SegmentWriter, mask_feeds, param_feed
from ._trace import Trace
from ._types import first_line, numpy_dtype

_SESSIONS = 6
_MOST = 1 << 28
"""Bytes of wanted values that come out of one part."""


class OnnxExecutor:
    """Runs a graph by ONNX Runtime: parts of the model whose outputs are the wanted values.

    Values that nobody wants stay in the runtime. What the runtime cannot do as it should is run by the declarations:
    floats of another type than the model's, draws, values that are no tensors.

    Attributes:
        graph, dtype: what is run, and in which type floats are.
        reason: why the declarations ran last time; empty where the runtime did.
    """

    def __init__(self, model: ir.Model, graph: Graph, dtype: str = "float32", reason: str = "") -> None:
        """``graph`` was captured from ``model``; a ``reason`` keeps the runtime out of it."""
        self.graph, self.dtype, self.reason = graph, dtype, reason
        self._reference = NumpyExecutor(graph, dtype)
        self._model, self._never = model.clone(), reason or _unfit(graph, dtype)
        self._sessions = OrderedDict[Segment, Any]()

    def tensor(self, array: Any) -> Array:
        return self._reference.tensor(array)

    def array(self, tensor: Any) -> Array:
        return np.asarray(tensor)

    def gradients(
        self, given: Mapping[str, Any], *, wanted: Collection[Spot], loss: Loss
    ) -> Iterator[tuple[Spot, Any, Any]]:
        """Always refused: the runtime has no derivatives."""
        raise no_gradients(self.graph)

    def walk(
        self,
        given: Mapping[str, Any],
        *,
        wanted: Collection[str],
        params: Mapping[str, Array] | None = None,
        masks: Masks | None = None,
    ) -> Iterator[tuple[str, Array]]:
        """Yield each wanted value, see :class:`prunepass.ir.Executor`."""
        walk = self._reference.checked(given, wanted, params, masks)
        found = slices_of(self.graph, {name: array.shape for name, array in walk.given.items()})
        free = found is not None and self._is_free(walk, found)
        if found is not None and not free:
            found.follows(walk.schedule.nodes)
            found.refuse_unknown(wanted)
        self.reason = self._never or _drawn(walk.schedule.nodes)
        if not self.reason:
            try:
                parts = parts_of(self.graph, walk, _MOST, free=free)
                for part in parts:
                    self._session(part)
                return self._run(walk, parts, None if free else found)
            except ImportError:
                self.reason = "onnxruntime is not installed"
            except Exception as error:  # the runtime raises what it likes
                self.reason = first_line(f"{type(error).__name__}: {error}")
        return self._reference.walk(given, wanted=wanted, params=params, masks=masks)

    def _is_free(self, walk: Walk, found: Slices) -> bool:
        """Return whether the model itself takes any number of samples, and makes all of them at once."""
        values = {str(value.name): value for value in model_inputs(self._model)}
        symbolic = all(
            name in values and values[name].shape is not None and symbol(values[name], axis) is not None
            for name, axis in found.inputs
        )
        fed = set(walk.given) <= set(self.graph.inputs)
        size = sum(held_bytes(self.graph, name) for name in walk.wanted)
        return symbolic and fed and size * found.count <= _MOST * found.how.size

    @cached_property
    def _writer(self) -> SegmentWriter:
        shapes = {name: self.graph.values[name].shape for name in self.graph.inputs}
        given = {name: value.shape for name, value in self.graph.values.items()}
        computed = {name for node in self.graph.nodes for name in node.outputs}
        trace = Trace(self._model, at_sizes(self._model, shapes), given=given, computed=computed)
        return SegmentWriter(trace.run(), self.graph)

    def _session(self, part: Segment) -> Any:
        if part not in self._sessions:
            with Portable(self._writer.write(part)) as handle:
                self._sessions[part] = opened(handle)
            while len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(part)
        return self._sessions[part]

    def _run(
        self, walk: Walk, parts: Sequence[Segment], slices: Slices | None
    ) -> Iterator[tuple[str, Array]]:
        there = {**walk.given, **walk.params}
        for name in (*walk.given, *self.graph.params):
            if name in walk.wanted:
                yield name, there[name] if name in there else self._reference.param(name)
        held = [dict(walk.given)] if slices is None else list(slices.parts(walk.given))
        extra = _extra(walk, self.graph)
        order = {name: at for at, name in enumerate(self.graph.values)}
        for at, part in enumerate(parts):
            names = sorted(part.wanted, key=order.__getitem__)
            later = set[str]().union(*(other.given for other in parts[at + 1 :]))
            made = [self._made(part, names, {**extra, **given}) for given in held]
            held = [
                {name: array for name, array in {**given, **new}.items() if name in later}
                for given, new in zip(held, made, strict=True)
            ]
            for name in names:
                arrays = [new.pop(name) for new in made]
                if name in walk.wanted:
                    yield (
                        name,
                        arrays[0] if slices is None else slices.joined(name, arrays, self._reference.join),
                    )

    def _made(self, part: Segment, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        session = self._session(part)
        typed = {one.name: self._typed(one.name, feeds[one.name]) for one in session.get_inputs()}
        try:
            return dict(zip(names, session.run(names, typed), strict=True))
        except Exception as error:  # the runtime raises what it likes
            said = first_line(f"{type(error).__name__}: {error}")
            raise UnsupportedError(
                f"the runtime fails on these values: {said}", where=self.graph.name
            ) from error

    def _typed(self, name: str, array: Array) -> Array:
        """In the type of the model's own input."""
        if name in self.graph.values:
            array = array.astype(numpy_dtype(self.graph.values[name].dtype), copy=False)
        return np.ascontiguousarray(array) if array.ndim else array


def _extra(walk: Walk, graph: Graph) -> dict[str, Array]:
    """Feeds of params and masks."""
    found = {
        param_feed(name): array.astype(numpy_dtype(graph.params[name].dtype), copy=False)
        for name, array in walk.params.items()
    }
    nodes = {node.name: node for node in graph.nodes}
    for place, mask in walk.masks.items():
        name = nodes[place[0]].inputs[place[1]]
        assert name is not None
        factor, kept = mask_feeds(*place)
        found[factor], found[kept] = mask.astype(numpy_dtype(graph.tensor(name).dtype)), mask != 0
    return found


def opened(handle: Any) -> Any:
    """A session that gives the results of the model as it is written: codes are not computed with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(handle, options, providers=["CPUExecutionProvider"])


def _unfit(graph: Graph, dtype: str) -> str:
    """The reason why the runtime does not compute as an executor should; empty where it does."""
    for name in (*graph.values, *graph.params):
        own = graph.tensor(name).dtype
        if is_float(own) and own != dtype:
            return f"'{name}' is {own} in the model, {dtype} is asked for"
    return ""


def _drawn(nodes: Sequence[Node]) -> str:
    """A draw must be the same for a network and for what a cut has left of it."""
    for node in nodes:
        if registry()[node.op].random(node.attrs):
            return f"'{node.op}' draws at random"
    return ""


def executor_of(model: ir.Model, graph: Graph, cut: Graph | None, dtype: str) -> OnnxExecutor:
    """An executor of ``graph``, captured from ``model``, or of ``cut``, made from it."""
    if cut is None or cut is graph:
        return OnnxExecutor(model, graph, dtype)
    try:
        return OnnxExecutor(replay(model, graph, cut), cut, dtype)
    except UnsupportedError as error:
        return OnnxExecutor(model, cut, dtype, f"the cut cannot be written into the model: {error.what}")
