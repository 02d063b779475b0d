"""Concrete sizes for a model's inputs, and random data for them.

Rules work on concrete shapes. A symbolic dim takes its size from example inputs; without them the first
dim counts as a batch of 1 and the others get a size by name and position. Sizes that were made up are
pinned with a note, so that a user sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from ...ir import Array, Graph, ModelError, Shape, UnsupportedError, UsageError, is_float
from ._types import OPAQUE, dtype_name, numpy_dtype

SEQUENCE, CHANNELS, IMAGE, VOLUME = 32, 3, 224, 16
_HINTS = (
    (("batch",), 1),
    (("channel",), CHANNELS),
    (("height", "width"), IMAGE),
    (("seq", "len", "time", "token"), SEQUENCE),
)
_UNKNOWN = frozenset({"none", "null", "nil", "nan", "unk", "unknown", "undefined", "any"})
_ADVICE = "pass example_inputs: arrays or shapes, by input name or in order"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Concrete input shapes, sizes of symbolic dims, notes on those that were made up, example data."""

    shapes: Mapping[str, Shape]
    symbols: Mapping[str, int]
    notes: tuple[tuple[str, int, str], ...] = ()
    data: Mapping[str, Array] = field(default_factory=dict)


def model_inputs(model: ir.Model) -> list[ir.Value]:
    """The graph inputs that a caller feeds: initializers listed among them are weights."""
    return [value for value in model.graph.inputs if not value.is_initializer()]


def concretise(model: ir.Model, example_inputs: object = None) -> Sizes:
    """A concrete shape for every input.

    Args:
        example_inputs: arrays or shapes, as a mapping by input name, a sequence in input order, or one
            alone; None guesses the sizes of symbolic dims.

    Raises:
        UsageError: an example does not fit the model's inputs.
        ModelError: an input has no shape and no example.
    """
    values = model_inputs(model)
    examples = _examples(values, example_inputs)
    symbols: dict[str, int] = {}
    for value in values:
        if value.name in examples:
            _bind(value, examples[value.name], symbols)
    shapes: dict[str, Shape] = {}
    notes: list[tuple[str, int, str]] = []
    for value in values:
        name = str(value.name)
        shapes[name] = examples[name] if name in examples else _guessed(value, symbols, notes)
    return Sizes(shapes, symbols, tuple(notes), example_data(model, example_inputs) or {})


def example_data(model: ir.Model, given: Any) -> Mapping[str, Array] | None:
    """Examples by input name where they hold data; None where one is only a shape or missing."""
    names = [str(value.name) for value in model_inputs(model)]
    if isinstance(given, Mapping):
        items: Mapping[str, Any] = given
    elif hasattr(given, "shape"):
        items = {names[0]: given}
    else:
        items = dict(zip(names, given, strict=False)) if isinstance(given, Sequence) else {}
    whole = len(items) == len(names) and all(hasattr(example, "shape") for example in items.values())
    return {name: np.asarray(example) for name, example in items.items()} if whole else None


def at_sizes(model: ir.Model, shapes: Mapping[str, Shape]) -> Sizes:
    """The same for shapes that are known to fit."""
    symbols: dict[str, int] = {}
    for value in model_inputs(model):
        _bind(value, shapes[str(value.name)], symbols)
    return Sizes(dict(shapes), symbols)


def other_sizes(model: ir.Model, inputs: Sizes) -> Iterator[Sizes]:
    """The same inputs with other symbolic sizes: all of them changed, then each alone, small ones first."""
    labels = sorted(inputs.symbols, key=lambda label: inputs.symbols[label])
    for moved in (labels, *([label] for label in labels)) if labels else ():
        symbols = {
            label: _another(size) if label in moved else size for label, size in inputs.symbols.items()
        }
        shapes = {}
        for value in model_inputs(model):
            shape = list(inputs.shapes[str(value.name)])
            for axis in range(len(shape)):
                label = None if value.shape is None else symbol(value, axis)
                shape[axis] = shape[axis] if label is None else symbols[label]
            shapes[str(value.name)] = tuple(shape)
        yield Sizes(shapes, symbols)


def _another(size: int) -> int:
    """Networks halve their images several times: stay with a multiple of 32 where one is given."""
    return size + 32 if size % 32 == 0 and size else size + 1


def symbol(value: ir.Value, axis: int) -> str | None:
    """A name for a symbolic dim, its own or one made of where it stands; None for a plain size.

    Converters write sizes that they do not know as -1, ``?`` or ``None``: such dims are free, and equal
    to no other one.
    """
    dim = None if value.shape is None else value.shape[axis]
    if dim is None or is_size(dim):
        return None
    name = None if isinstance(dim, int) else dim.value
    return name if name and _means_something(name) else f"{value.name}[{axis}]"


def is_size(dim: int | ir.SymbolicDim) -> bool:
    """Return whether a dim is a number and no placeholder for one."""
    return isinstance(dim, int) and dim >= 0


def _means_something(name: str) -> bool:
    return any(letter.isalpha() for letter in name) and name.strip().lower() not in _UNKNOWN


def _examples(values: Sequence[ir.Value], given: object) -> dict[str | None, Shape]:
    if given is None:
        return {}
    names = [value.name for value in values]
    if isinstance(given, Mapping):
        unknown = sorted(str(name) for name in given if name not in names)
        if unknown:
            raise UsageError(f"no input is called {', '.join(unknown)}", advice=f"the model reads {names}")
        return {name: _shape_of(example) for name, example in given.items()}
    alone = hasattr(given, "shape") or (isinstance(given, Sequence) and _is_shape(given))
    items: Sequence[Any] = [given] if alone else given if isinstance(given, Sequence) else []
    if len(items) != len(names):
        raise UsageError(
            f"{len(items)} example inputs for {len(names)} inputs", advice=f"the model reads {names}"
        )
    return {name: _shape_of(example) for name, example in zip(names, items, strict=True)}


def _is_shape(given: Sequence[Any]) -> bool:
    return all(isinstance(size, (int, np.integer)) for size in given)


def _shape_of(example: object) -> Shape:
    sizes = getattr(example, "shape", example)
    if not isinstance(sizes, Sequence) or not _is_shape(sizes):
        raise UsageError(f"an example input is a {type(example).__name__}", advice=_ADVICE)
    return tuple(int(size) for size in sizes)


def _bind(value: ir.Value, shape: Shape, symbols: dict[str, int]) -> None:
    """Check ``shape`` against the declared one and note what its symbols stand for."""
    if value.shape is None:
        return
    declared = tuple(symbol(value, axis) or dim for axis, dim in enumerate(value.shape))
    fits = len(shape) == len(declared) and all(
        isinstance(want, str) or have == want for have, want in zip(shape, declared, strict=True)
    )
    if not fits:
        raise UsageError(f"an example for '{value.name}' has shape {shape}, the model reads {declared}")
    for axis, size in enumerate(shape):
        label = symbol(value, axis)
        if label is not None and symbols.setdefault(label, size) != size:
            raise UsageError(f"dim '{label}' is {symbols[label]} in one input and {size} in '{value.name}'")


def _guessed(value: ir.Value, symbols: dict[str, int], notes: list[tuple[str, int, str]]) -> Shape:
    if dtype_name(value.dtype) == OPAQUE:
        raise UnsupportedError(f"input '{value.name}' is not a tensor of numbers", where=value.name)
    if value.shape is None:
        raise ModelError(f"input '{value.name}' has no shape", advice=_ADVICE)
    shape = []
    for axis, dim in enumerate(value.shape):
        label = symbol(value, axis)
        if label is None:
            assert isinstance(dim, int)
            shape.append(dim)
            continue
        shape.append(symbols.setdefault(label, _guess(label.lower(), value.shape, axis)))
        notes.append((str(value.name), axis, f"size {shape[-1]} was assumed for the symbolic dim '{label}'"))
    return tuple(shape)


def _guess(label: str, shape: ir.Shape, axis: int) -> int:
    if axis == 0:
        return 1
    for words, size in _HINTS:
        if any(word in label for word in words):
            return size
    last = shape[-1]
    channels_last = isinstance(last, int) and 0 < last <= 4
    if len(shape) < 4:
        return SEQUENCE
    if axis == 1 and not channels_last:
        return CHANNELS
    return IMAGE if len(shape) == 4 else VOLUME


def feeds(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Random data for every input: normal floats, integers and booleans of 0 and 1.

    Larger integers may not index what the model looks up.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    made: dict[str, Array] = {}
    for name in graph.inputs:
        value = graph.values[name]
        wide = is_float(value.dtype)
        data = generator.standard_normal(value.shape) if wide else generator.integers(0, 2, value.shape)
        made[name] = np.asarray(data).astype(numpy_dtype(value.dtype))
    return made
