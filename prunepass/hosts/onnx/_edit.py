"""Writing into the user's own model: constants, attributes, and corrections of what is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

from ...ir import Array, Param, UnsupportedError
from ._types import is_constant, opsets_of, tensor_shape, unique

_LAZY_ABOVE = 1 << 20
_INITIALIZERS_ARE_INPUTS_BELOW = 4
_WHERE_SINCE = 9

Use = tuple[ir.Node, int]
Parts = list[tuple[str, list[Array]]]


class Editor:
    """Edits one model in place; new names are derived from old ones and never clash."""

    def __init__(self, model: ir.Model) -> None:
        self.model, self.graph = model, model.graph
        self._names = {
            name
            for graph in model.graphs()
            for values in (graph.inputs, graph.initializers.values(), *(node.outputs for node in graph))
            for value in values
            if (name := value.name)
        }
        self._nodes = {node.name for node in self.graph if node.name}
        self._waiting: dict[ir.Value, list[tuple[ir.TensorProtocol, list[Use]]]] = {}
        self._corrected: dict[tuple[ir.Value, str], ir.Value] = {}
        self._left: list[ir.Value] = []

    def overwrite(self, value: ir.Value, tensor: ir.TensorProtocol) -> None:
        """Give an initializer or Constant other data."""
        node = value.producer()
        if node is None:
            value.const_value = tensor
        else:
            value.const_value = None
            node.attributes.clear()
            node.attributes["value"] = ir.AttrTensor("value", tensor)
        value.type = value.type or ir.TensorType(tensor.dtype)
        value.shape = ir.Shape(tensor_shape(tensor))

    def add(self, base: str, tensor: ir.TensorProtocol) -> ir.Value:
        """A new initializer."""
        name = unique(base, self._names)
        tensor.name = name
        value = ir.Value(
            name=name,
            shape=ir.Shape(tensor_shape(tensor)),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        if self.model.ir_version < _INITIALIZERS_ARE_INPUTS_BELOW:
            self.graph.inputs.append(value)
        return value

    def redirect(self, uses: Iterable[Use], value: ir.Value) -> None:
        """Let these inputs read ``value``."""
        for node, index in uses:
            old = node.inputs[index] if index < len(node.inputs) else None
            if old is not None:
                self._left.append(old)
            else:
                node.resize_inputs(max(len(node.inputs), index + 1))
            node.replace_input_with(index, value)

    def rewrite(self, value: ir.Value, versions: Sequence[tuple[ir.TensorProtocol, list[Use]]]) -> None:
        """Give readers of a constant data of their own: in place for the first where nobody else is left."""
        for tensor, uses in versions[1:]:
            self.redirect(uses, self.add(str(value.name), tensor))
        tensor, uses = versions[0]
        if {(use.node, use.idx) for use in value.uses()} == set(uses) and not value.is_graph_output():
            self.overwrite(value, tensor)
        else:
            self.redirect(uses, self.add(str(value.name), tensor))

    def set_constant(self, uses: list[Use], array: Array) -> None:
        """Let inputs that read one value read this constant.

        Constants are written by :meth:`finish`, when all their readers are known.
        """
        node, index = uses[0]
        old = node.inputs[index] if index < len(node.inputs) else None
        usual = ir.DataType.FLOAT if array.dtype.kind == "f" else ir.DataType.INT64
        dtype = (old.dtype if old is not None else None) or usual
        array = array.astype(dtype.numpy())
        if old is None or constant_behind(old) is None:
            base = (old.name if old is not None else None) or f"{node.name or node.op_type}_{index}"
            self.redirect(uses, self.add(base, ir.Tensor(array, dtype=dtype)))
            return
        versions = self._waiting.setdefault(old, [])
        same = next((found for tensor, found in versions if np.array_equal(tensor.numpy(), array)), None)
        if same is None:
            versions.append((ir.Tensor(array, dtype=dtype, name=old.name), list(uses)))
        else:
            same.extend(uses)

    def correct(self, value: ir.Value, uses: list[Use], change: Change) -> None:
        """Let ``uses`` read ``value`` as computed while the model runs, changed entry by entry."""
        parts = change.parts(opsets_of(self.model).get("", _WHERE_SINCE))
        key = (value, "; ".join(f"{kind} {array.tolist()}" for kind, arrays in parts for array in arrays))
        if key not in self._corrected:
            self._corrected[key] = self._computed(value, parts, change)
        self.redirect(uses, self._corrected[key])

    def _computed(self, value: ir.Value, parts: Parts, change: Change) -> ir.Value:
        producer = value.producer()
        assert producer is not None
        dtype = ir.DataType.from_numpy(change.dtype)
        made, nodes = value, []
        for kind, arrays in parts:
            held = [self.add(f"{value.name}@{kind}", _typed(array, dtype)) for array in arrays]
            reads = [*held, made] if kind == "Where" else [made, *held]
            name = unique(f"{kind}_{value.name}", self._nodes)
            node = ir.Node("", kind, reads, name=name, num_outputs=1)
            node.outputs[0].name = unique(f"{value.name}@{kind}", self._names)
            node.outputs[0].type = ir.TensorType(dtype)
            node.outputs[0].shape = None if value.shape is None else value.shape.copy()
            made = node.outputs[0]
            nodes.append(node)
        self.graph.insert_after(producer, nodes)
        return made

    def finish(self) -> None:
        """Write what waits, and remove initializers that the edits have left without a reader."""
        for value, versions in self._waiting.items():
            self.rewrite(value, versions)
        for value in dict.fromkeys(self._left):
            unread = not value.uses() and not value.is_graph_output()
            if unread and value.is_initializer() and value not in self.graph.inputs:
                del self.graph.initializers[str(value.name)]


class Change:
    """Change of a computed array, entry by entry: ``have`` turns into ``want`` at the captured sizes.

    An entry that does not depend on symbolic dims becomes the wanted number; one that does is scaled by
    ``want / have``, and all others stay what is computed.
    """

    def __init__(self, have: Array, want: Array, dynamic: Array) -> None:
        moved = have != want
        self._scaled, self._fixed = moved & dynamic, moved & ~dynamic
        if bool((have[self._scaled] == 0).any()):
            raise UnsupportedError("a computed size of 0 cannot be scaled")
        self._have, self._want, self.dtype = have, want, have.dtype

    def parts(self, opset: int) -> Parts:
        """Operators with their constants, to be applied one after the other."""
        have, want = self._have, self._want
        if not self._scaled.any() and opset >= _WHERE_SINCE:
            return [("Where", [self._fixed, np.where(self._fixed, want, np.zeros_like(want))])]
        factor = np.where(self._scaled, want, np.where(self._fixed, 0, 1)).astype(have.dtype)
        divisor = np.where(self._scaled, have, 1).astype(have.dtype)
        shift = np.where(self._fixed, want, 0).astype(have.dtype)
        steps = [("Mul", factor, 1), ("Div", divisor, 1), ("Add", shift, 0)]
        return [(kind, [array]) for kind, array, neutral in steps if (array != neutral).any()]


def _typed(array: Array, dtype: ir.DataType) -> ir.Tensor[Array]:
    return (
        ir.Tensor(array) if array.dtype == np.bool_ else ir.Tensor(array.astype(dtype.numpy()), dtype=dtype)
    )


def constant_behind(value: ir.Value) -> ir.Value | None:
    """``value`` where it is an initializer or the result of a Constant, else None."""
    node = value.producer()
    return value if (value.is_initializer() if node is None else is_constant(node)) else None


def tensor_of(param: Param, dtype: ir.DataType, name: str | None) -> ir.TensorProtocol:
    """The param's data as a tensor; large ones are read when the model is written."""
    numpy_type = dtype.numpy()

    def read() -> ir.Tensor[Array]:
        return ir.Tensor(
            np.ascontiguousarray(param.read().astype(numpy_type, copy=False)), dtype=dtype, name=name
        )

    if int(np.prod(param.shape)) * numpy_type.itemsize <= _LAZY_ABOVE:
        return read()
    return ir.LazyTensor(read, dtype=dtype, shape=ir.Shape(param.shape), name=name)
