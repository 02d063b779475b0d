"""Tensors of a model by ONNX name, as a walk over it knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from ...ir import Array, Attrs, ModelError, Param, Shape, UnsupportedError, Value
from ._check_data import MOST_DIMS
from ._external import mapped
from ._foreign import Typed
from ._runner import Runner
from ._spell import Reading
from ._types import OPAQUE, const_tensor, dtype_name, holds_sizes, numpy_dtype, tensor_shape

MOST_FOLDED = 1 << 20
_MOST_HELD = 64 << 20
_MOST_SAMPLED = 1 << 26
_MOST_ENTRIES = 1 << 40
_FEW = 64
_SIZES = ("int64", "bool", OPAQUE)


@dataclass(frozen=True, slots=True)
class Site:
    """A node of the model with all that was found out about it; ``reading`` is None where it is foreign."""

    name: str
    node: ir.Node
    operands: tuple[str | None, ...]
    reading: Reading | None
    attrs: Attrs
    runner: Runner | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results; one without a name gets one from the node."""
        outs = list(self.node.outputs)
        while outs and not outs[-1].name:
            outs.pop()
        return tuple(out.name or f"{self.name}:{i}" for i, out in enumerate(outs))


class Ledger:
    """Types and data of tensors, filled as the walk goes.

    Attributes:
        values, consts: types of values; Params over initializers and Constants.
        folded: shape arithmetic that was evaluated and is no part of the graph any more.
        forced: values that were evaluated because an attribute is read from them; they stay values.
        loose: values whose shape depends on data, with the sample that they were seen as.
        makers: the site that makes each value.
    """

    def __init__(self, examples: Mapping[str, Array]) -> None:
        self.examples = examples
        self.values: dict[str, Value] = {}
        self.consts: dict[str, Param] = {}
        self.folded: dict[str, Array] = {}
        self.forced: dict[str, Array] = {}
        self.loose: dict[str, Array] = {}
        self.makers: dict[str, Site] = {}
        self._held = 0

    def hold(self, value: ir.Value) -> None:
        """Note an initializer or Constant; its data stays where it is."""
        name, tensor = str(value.name), const_tensor(value)
        if tensor is None:
            raise ModelError("the initializer has no data", where=name)
        shape, dtype = tensor_shape(tensor), dtype_name(tensor.dtype)
        trained = bool(shape) and dtype not in _SIZES
        self.consts[name] = Param(name, shape, dtype, _source(tensor), trained=trained)

    def make(self, name: str, shape: Shape, dtype: str) -> None:
        """Note the type of a value.

        Raises:
            UnsupportedError: it is larger than any that could be computed.
        """
        if len(shape) > MOST_DIMS or prod(shape) > _MOST_ENTRIES:
            said = f"{len(shape)} dims" if len(shape) > MOST_DIMS else f"{prod(shape)} entries"
            raise UnsupportedError(
                f"'{name}' would have {said}", advice="give smaller inputs or mend the sizes"
            )
        self.values[name] = Value(name, shape, dtype)

    def fold(self, name: str, array: Array) -> None:
        """Keep shape arithmetic that was evaluated."""
        self._held += array.nbytes
        self.folded[name] = array

    def has_room(self, shape: Shape) -> bool:
        """Return whether a constant of this shape is small enough to be computed here, with those that are held.

        A few bytes in a file may stand for gigabytes.
        """
        return prod(shape) <= MOST_FOLDED and self._held < _MOST_HELD

    def tensor(self, name: str) -> Value | Param:
        found = self.values.get(name) or self.consts.get(name)
        if found is None:
            raise ModelError(f"'{name}' is read but nothing makes it")
        return found

    def typed(self, name: str) -> Typed:
        tensor = self.tensor(name)
        return Typed(name, None if name in self.loose else tensor.shape, tensor.dtype)

    def constant(self, name: str) -> Array | None:
        """Data of what the finished graph will hold as a Param."""
        if name in self.folded:
            return self.folded[name]
        return self.consts[name].read() if name in self.consts else None

    def sizes(self, name: str) -> Array | None:
        """Data that shape arithmetic may use: integers, conditions and single numbers, never weights."""
        if name in self.folded:
            return self.folded[name]
        param = self.consts.get(name)
        if param is None or prod(param.shape) > MOST_FOLDED:
            return None
        return param.read() if prod(param.shape) == 1 or holds_sizes(numpy_dtype(param.dtype)) else None

    def small(self, name: str) -> Array | None:
        """Data of constants that may say something about shapes, for the format's own inference."""
        found = self.sizes(name)
        if found is None and name in self.consts and prod(self.consts[name].shape) <= _FEW:
            found = self.consts[name].read()
        return found

    def blank(self, name: str) -> Array:
        """Stands for an operand that is read for its shape only: no memory behind it."""
        tensor = self.tensor(name)
        return np.broadcast_to(np.zeros((), numpy_dtype(tensor.dtype)), tensor.shape)

    def sample(self, name: str, sizes: int = 0) -> Array:
        """Some data of the right kind: its own, an example, as seen before, else 0 (integers: ``sizes``)."""
        tensor, known = self.tensor(name), self.constant(name)
        if known is None:
            known = self.loose.get(name, self.examples.get(name))
        if known is None:
            if prod(tensor.shape) > _MOST_SAMPLED:
                raise UnsupportedError(f"'{name}' of shape {tensor.shape} is too large to be tried")
            fill = sizes if holds_sizes(numpy_dtype(tensor.dtype)) else 0
            known = np.full(tensor.shape, fill, numpy_dtype(tensor.dtype))
        return known


def _source(tensor: ir.TensorProtocol) -> Callable[[], Array]:
    """Reads the data as it is now, whatever becomes of the model or of the file's name."""
    if isinstance(tensor, ir.ExternalTensor):
        data = mapped(tensor)
        return lambda: data
    return tensor.numpy
