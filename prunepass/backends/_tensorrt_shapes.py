"""Sizes of free inputs: what the option ``shapes`` says, held against the inputs of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..ir import UsageError
from ._tensorrt_seam import ITensor

Sizes: TypeAlias = tuple[int, ...]

_FORM = "write NAME=1x3x224x224, or NAME=least:usual:most, with commas between inputs"


@dataclass(frozen=True, slots=True)
class Range:
    """The least, the usual and the largest sizes of an input; of a shape tensor its values instead."""

    least: Sizes
    usual: Sizes
    most: Sizes


def read_shapes(text: str) -> dict[str, Range]:
    """Ranges by input from ``x=1x3x32x32:1x3x224x224:8x3x224x224,y=1x8``.

    Raises:
        UsageError: it is not of that form.
    """
    found: dict[str, Range] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, mark, sizes = part.rpartition("=")
        if not mark or not name or name in found:
            raise UsageError(f"cannot read '{part}' in shapes", advice=_FORM)
        found[name] = _range(part, sizes)
    return found


def _range(part: str, text: str) -> Range:
    try:
        rows = [tuple(int(size) for size in row.split("x")) for row in text.split(":")]
    except ValueError as error:
        raise UsageError(f"cannot read '{part}' in shapes", advice=_FORM) from error
    if len(rows) == 1:
        rows *= 3
    if len(rows) != 3 or len({len(row) for row in rows}) != 1:
        raise UsageError(f"cannot read '{part}' in shapes", advice=_FORM)
    ranges = zip(*rows, strict=True)
    if any(not 0 <= least <= usual <= most for least, usual, most in ranges):
        raise UsageError(f"'{part}' in shapes has a size that shrinks", advice="least <= usual <= most")
    return Range(*rows)


def check_ranges(inputs: Sequence[ITensor], ranges: Mapping[str, Range]) -> None:
    """Hold ranges against inputs.

    Raises:
        UsageError: an input with free sizes has none, one is of no input, or contradicts a fixed size.
    """
    known = {tensor.name: tensor for tensor in inputs}
    for name, given in ranges.items():
        if name not in known:
            advice = "inputs: " + ", ".join(sorted(known))
            raise UsageError(f"shapes names an input '{name}' that there is not", advice=advice)
        _check(known[name], given)
    missing = [tensor for tensor in inputs if is_free(tensor) and tensor.name not in ranges]
    if missing:
        example = ",".join(f"{tensor.name}={_example(tensor)}" for tensor in missing)
        what = f"input '{missing[0].name}' has free sizes ({_told(missing[0])}), and none are given"
        raise UsageError(what, advice=f"set shapes={example}, or least:usual:most of each")


def is_free(tensor: ITensor) -> bool:
    """Return whether an optimisation profile has to tell something about it."""
    return tensor.is_shape_tensor or any(size < 0 for size in tensor.shape)


def _check(tensor: ITensor, given: Range) -> None:
    fixed = tuple(tensor.shape)
    if tensor.is_shape_tensor:
        wanted = fixed[0] if fixed else 1
        if len(given.usual) != wanted:
            raise UsageError(f"input '{tensor.name}' holds {wanted} values, shapes gives {len(given.usual)}")
        return
    for sizes in (given.least, given.usual, given.most):
        fits = len(sizes) == len(fixed) and all(
            want < 0 or want == size for want, size in zip(fixed, sizes, strict=True)
        )
        if not fits:
            got = "x".join(map(str, sizes))
            raise UsageError(f"input '{tensor.name}' is {_told(tensor)}, shapes gives {got}", advice=_FORM)


def _told(tensor: ITensor) -> str:
    return "x".join(_names(tensor)) or "a scalar"


def _names(tensor: ITensor) -> list[str]:
    return [
        str(size) if size >= 0 else tensor.get_dimension_name(axis) or "?"
        for axis, size in enumerate(tensor.shape)
    ]


def _example(tensor: ITensor) -> str:
    """An example of a shape: the fixed sizes, 1 for a batch, a capital letter for any other size."""
    if tensor.is_shape_tensor:
        return "x".join("N" * (tuple(tensor.shape) or (1,))[0])
    return "x".join(
        str(size) if size >= 0 else "N" if axis else "1" for axis, size in enumerate(tensor.shape)
    )
