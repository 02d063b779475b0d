"""Evaluating one node by itself, for operators that no declaration covers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from ...ir import Array, UnsupportedError
from ._types import first_line, numpy_dtype, type_proto

_IR_VERSION = 10
_AGREE = 1e-3

Feeds = Mapping[str, Any]
Engine = Callable[[Feeds], "list[Any]"]


@dataclass(frozen=True)
class Runner:
    """Evaluates one node by the format's reference implementation or by ONNX Runtime.

    The reference computes in whatever precision it is fed, which proofs need, but gives some operators of
    older versions their newest meaning. So it is used only where its first results agree with those of ONNX
    Runtime, which is right and knows the model's own types only.

    Attributes:
        names: operand names by position, None where absent.
        dtypes: their types in the model.
    """

    node: onnx.NodeProto
    opsets: Mapping[str, int]
    names: tuple[str | None, ...]
    dtypes: Mapping[str, str]
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, *arrays: Array | None) -> tuple[Array, ...]:
        """The node's results; sequences travel as one object in an array of shape ``()``.

        Raises:
            UnsupportedError: neither engine runs the node.
        """
        feeds = {
            name: array[()] if array.dtype == object and array.ndim == 0 else array
            for name, array in zip(self.names, arrays, strict=True)
            if name is not None and array is not None
        }
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            engine: Engine | None = self._made.get("engine")
            found = None if engine is None else _tried(engine, feeds)[0]
            # An engine that took the model's own types may not take those of a proof.
            found = self._first(feeds) if found is None else found
        made = dict(zip(self._wanted, found, strict=True))
        return tuple(_array(made[name]) if name else np.zeros(()) for name in self.node.output)

    @property
    def _wanted(self) -> list[str]:
        return [name for name in self.node.output if name]

    def _first(self, feeds: Feeds) -> list[Any]:
        """Results of the most precise engine that is right, which is kept once the data can tell."""
        truth, errors = _tried(self._in_own_types, feeds)
        chosen: tuple[Engine, list[Any]] | None = None if truth is None else (self._in_own_types, truth)
        for engine in (self._in_given_types, self._by_reference):
            made, error = _tried(engine, feeds)
            errors += error
            if made is not None and (truth is None or _agree(made, truth)):
                chosen = (engine, made)
        if chosen is None:
            raise UnsupportedError(
                f"'{self.node.op_type}' could not be run by itself ({'; '.join(errors)})",
                where=self.node.name,
            )
        floats = [
            array for array in feeds.values() if isinstance(array, np.ndarray) and array.dtype.kind == "f"
        ]
        if not floats or any(array.any() for array in floats):
            self._made["engine"] = chosen[0]
        return chosen[1]

    def _by_reference(self, feeds: Feeds) -> list[Any]:
        from onnx.reference import ReferenceEvaluator

        if "reference" not in self._made:
            self._made["reference"] = ReferenceEvaluator(self._model(self.dtypes))
        result = list(self._made["reference"].run(self._wanted, dict(feeds)))
        if any(made is None for made in result):
            raise UnsupportedError("no result")
        return result

    def _in_given_types(self, feeds: Feeds) -> list[Any]:
        dtypes = {name: array.dtype.name for name, array in feeds.items() if isinstance(array, np.ndarray)}
        return self._by_runtime({**self.dtypes, **dtypes}, feeds)

    def _in_own_types(self, feeds: Feeds) -> list[Any]:
        return self._by_runtime(self.dtypes, feeds)

    def _by_runtime(self, dtypes: Mapping[str, str], feeds: Feeds) -> list[Any]:
        import onnxruntime

        key = f"runtime {sorted(dtypes.items())}"
        if key not in self._made:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._made[key] = onnxruntime.InferenceSession(
                self._model(dtypes).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        typed = {
            name: array.astype(numpy_dtype(dtypes[name])) if isinstance(array, np.ndarray) else array
            for name, array in feeds.items()
        }
        return list(self._made[key].run(self._wanted, typed))

    def _model(self, dtypes: Mapping[str, str]) -> onnx.ModelProto:
        """A model of this one node; whatever it reads is a graph input of open shape."""
        reads = dict.fromkeys(name for name in self.names if name is not None)
        inputs = [onnx.helper.make_value_info(name, type_proto(dtypes[name], None)) for name in reads]
        outputs = [onnx.ValueInfoProto(name=name) for name in self._wanted]
        graph = onnx.helper.make_graph([self.node], "node", inputs, outputs)
        imports = [onnx.helper.make_opsetid(name, version) for name, version in self.opsets.items()]
        return onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)


def _tried(engine: Engine, feeds: Feeds) -> tuple[list[Any] | None, list[str]]:
    try:
        return engine(feeds), []
    except Exception as error:  # both engines raise whatever they like
        return None, [f"{type(error).__name__}: {first_line(str(error))}"]


def _agree(left: list[Any], right: list[Any]) -> bool:
    return all(
        Items(a if isinstance(a, list) else [a]).near(b if isinstance(b, list) else [b], _AGREE)
        for a, b in zip(left, right, strict=True)
    )


def _array(made: Any) -> Array:
    if isinstance(made, np.ndarray) or np.isscalar(made):
        return np.asarray(made)
    box = np.empty((), dtype=object)
    box[()] = Items(made) if isinstance(made, list) else made
    return box


class Items(list[Any]):
    """A sequence of tensors; equal to another one where the tensors are equal up to rounding."""

    __hash__ = None

    def near(self, other: list[Any], tolerance: float) -> bool:
        """Return whether all tensors are as large and differ by no more than this, relative to their magnitude."""
        if len(self) != len(other):
            return False
        pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(self, other, strict=True)]
        return all(a.shape == b.shape and _near(a, b, tolerance) for a, b in pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and self.near(other, 1e-9)

    def __ne__(self, other: object) -> bool:
        return not self == other


def _near(a: Array, b: Array, tolerance: float) -> bool:
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return bool(np.array_equal(a, b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.abs(b[np.isfinite(b)])
    scale = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True))
