"""Arrays for a graph's inputs from what people hold: tensors of any library, lists, dicts, single samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...ir import Array, Graph, UsageError, is_float

TARGETS = ("target", "labels")
"""Names under which a dict or a file may hold the targets."""


def as_array(given: Any, what: str) -> Array:
    """An array from a tensor of any library, a list of numbers or an array.

    Raises:
        UsageError: it is nothing of the kind.
    """
    if hasattr(given, "detach"):
        given = _on_host(given, what)
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} is no array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what} is no array of numbers, it is a {type(given).__name__}")
    return array


def _on_host(given: Any, what: str) -> Any:
    try:
        given = given.detach().cpu()
        try:
            return given.numpy()
        except TypeError:  # a type that numpy has not, as bfloat16
            return given.float().numpy()
    except (TypeError, RuntimeError) as error:  # of a device without data, or a layout of its own
        raise UsageError(f"{what} cannot be read: {str(error).splitlines()[0]}") from error


def named_inputs(
    given: Mapping[str, Any] | Sequence[Any], graph: Graph, where: str
) -> tuple[dict[str, Array], int]:
    """Arrays by input name, and the number of samples in them.

    Args:
        given: by name, or in the order of the graph's inputs.

    Raises:
        UsageError: inputs are missing or unknown, have another shape than the model takes, or hold NaN.
    """
    named = _by_name(given, graph, where)
    arrays = {
        name: _fitted(as_array(one, f"input '{name}' of {where}"), graph, name, where)
        for name, one in named.items()
    }
    return arrays, _samples(arrays, graph, where)


def _by_name(given: Mapping[str, Any] | Sequence[Any], graph: Graph, where: str) -> dict[str, Any]:
    reads = f"the model reads {', '.join(graph.inputs)}"
    if isinstance(given, Mapping):
        unknown = [str(name) for name in given if name not in graph.inputs]
        if unknown:
            raise UsageError(
                f"{where} has inputs that the model does not read: {', '.join(unknown)}", advice=reads
            )
        found = dict(given)
    elif len(given) > len(graph.inputs):
        raise UsageError(f"{where} has {len(given)} inputs", advice=reads)
    else:
        found = dict(zip(graph.inputs, given, strict=False))
    missing = [name for name in graph.inputs if name not in found]
    if missing:
        raise UsageError(f"{where} lacks {', '.join(missing)}", advice=reads)
    return found


def _fitted(array: Array, graph: Graph, name: str, where: str) -> Array:
    value = graph.values[name]
    whole = is_float(value.dtype)
    if not whole and array.dtype.kind == "f":
        raise UsageError(f"input '{name}' of {where} holds floats, the model reads {value.dtype}")
    if value.shape and array.shape == value.shape[1:]:
        array = array[None]  # a single sample
    if array.ndim != len(value.shape) or array.shape[1:] != value.shape[1:]:
        raise UsageError(
            f"input '{name}' of {where} has shape {array.shape}, the model takes {value.shape}",
            advice="the number of samples, the first size, is free; all others are those of the capture",
        )
    if whole and not np.all(np.isfinite(array)):
        kind = "NaN" if np.any(np.isnan(array)) else "infinite numbers"
        raise UsageError(f"input '{name}' of {where} holds {kind}", advice="look at how the data are made")
    if not whole:
        return array.astype(value.dtype, copy=False)
    # Halves and wider floats are the executor's to convert; what was counted is a number all the same.
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _samples(arrays: Mapping[str, Array], graph: Graph, where: str) -> int:
    """The number of samples; an input that is not as long as the first one at capture holds none of its own."""
    batched = batched_inputs(graph)
    sizes = {name: len(arrays[name]) for name in graph.inputs if name in batched}
    if not sizes:
        return 1
    for name, array in arrays.items():
        shape = graph.values[name].shape
        if name not in batched and array.shape != shape:
            raise UsageError(f"input '{name}' of {where} has shape {array.shape}, the model takes {shape}")
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UsageError(f"the inputs of {where} have different numbers of samples: {listed}")
    return next(iter(sizes.values()))


def batched_inputs(graph: Graph) -> frozenset[str]:
    """Inputs whose first axis is the batch: as long as that of the first input at capture."""
    shapes = {name: graph.values[name].shape for name in graph.inputs if graph.values[name].shape}
    first = next((shape[0] for shape in shapes.values()), 1)
    return frozenset(name for name, shape in shapes.items() if shape[0] == first)


def labels_of(target: Any, samples: int) -> Array | None:
    """Class of every sample where the target is one whole number for each; None elsewhere."""
    if target is None or isinstance(target, (Mapping, str)):
        return None
    try:
        array = as_array(target, "the target")
    except UsageError:
        return None
    array = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else np.atleast_1d(array)
    return array.astype(np.int64) if array.dtype.kind in "iu" and array.shape == (samples,) else None
