"""Inputs for an engine: checked when given, made up when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ..ir import UsageError
from ._protocol import Feeds, Shapes, TensorSpec

_GIVE = "pass feeds={name: array or shape} (--shape)"


def check_feeds(inputs: Sequence[TensorSpec], feeds: Feeds) -> None:
    """Hold feeds against the inputs of an engine: names, ranks, fixed sizes, dtypes.

    Raises:
        UsageError: naming the first input that does not fit, what it got and what it takes.
    """
    known = {spec.name for spec in inputs}
    for name in feeds:
        if name not in known:
            raise UsageError(f"there is no input '{name}'", advice="inputs: " + ", ".join(sorted(known)))
    for spec in inputs:
        if spec.name not in feeds:
            raise UsageError(f"input '{spec.name}' is not fed", advice=_GIVE)
        array = np.asarray(feeds[spec.name])
        if array.dtype.name != spec.dtype or not _fits(spec.shape, array.shape):
            wanted, got = _form(spec.shape, spec.dtype), _form(array.shape, array.dtype.name)
            raise UsageError(f"input '{spec.name}' takes {wanted}, got {got}")


def _fits(wanted: Sequence[int | str], given: Sequence[int]) -> bool:
    pairs = zip(wanted, given, strict=False)
    return len(wanted) == len(given) and all(isinstance(want, str) or want == got for want, got in pairs)


def _form(shape: Sequence[int | str], dtype: str) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"


def random_feeds(
    inputs: Sequence[TensorSpec],
    sizes: Mapping[str, int] | None = None,
    *,
    shapes: Shapes | None = None,
    seed: int = 0,
) -> dict[str, npt.NDArray[Any]]:
    """Made-up inputs: standard normal for floats, 0 and 1 for integers and booleans.

    Integers stay at 0 and 1 because they usually index a table, whose length an engine does not tell. An
    input's data depends on its name, its shape and the seed only, so that models that share an input get the
    same data whatever their other inputs are.

    Args:
        sizes: of free dims by name. A free first dim that is not in it is a batch of 1.
        shapes: of inputs by name; others are as the engine says.

    Raises:
        UsageError: another free dim has no size, an input is no array, or a shape is for no input or does not
            fit it.
    """
    given = shapes or {}
    made = {
        spec.name: _random(spec, tuple(given.get(spec.name) or _shape(spec, sizes or {})), seed)
        for spec in inputs
    }
    check_feeds(
        inputs, {**made, **{name: np.zeros(shape) for name, shape in given.items() if name not in made}}
    )
    return made


def feeds_of(inputs: Sequence[TensorSpec], given: Feeds | None) -> Feeds:
    """Inputs to feed: arrays as they are given, and made-up ones of the shapes that stand in place of arrays.

    Where there are shapes, inputs that are not named are made up too; see :func:`random_feeds`.

    Raises:
        UsageError: a shape or an array does not fit, or an array is missing.
    """
    shapes = {name: value for name, value in (given or {}).items() if _is_shape(value)}
    if given is not None and not shapes:
        check_feeds(inputs, given)
        return given
    made = random_feeds(inputs, shapes=shapes)
    whole = {**made, **{name: value for name, value in (given or {}).items() if name not in shapes}}
    check_feeds(inputs, whole)
    return whole


def _is_shape(value: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)


def _shape(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    shape = []
    for axis, size in enumerate(spec.shape):
        if isinstance(size, str):
            if size not in sizes and axis > 0:
                what = f"axis {axis} of input '{spec.name}' is free ('{size}'): its size decides the timing"
                raise UsageError(what, advice=_GIVE)
            size = sizes.get(size, 1)
        shape.append(size)
    return tuple(shape)


def _random(spec: TensorSpec, shape: tuple[int, ...], seed: int) -> npt.NDArray[Any]:
    rng = np.random.default_rng([seed, crc32(spec.name.encode())])
    if spec.dtype.startswith("float"):
        return rng.standard_normal(shape).astype(spec.dtype)
    if spec.dtype.startswith(("int", "uint", "bool")):
        return rng.integers(0, 2, shape).astype(spec.dtype)
    raise UsageError(f"cannot make up data of type '{spec.dtype}' for '{spec.name}'", advice=_GIVE)
