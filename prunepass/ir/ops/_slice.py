"""Taking a range or one entry of an axis, and writing one.

Rule: a range is a segment: the axis is ``before + range + after`` and the bounds are sizes of such sums, so
they follow a cut. Every n-th entry: the axis is ``Prod(rows, n)``, the result the rows. Backwards: pinned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._dims import Dim, Dims, Fixed, atom, atoms, prod, total
from .._flow import movement
from .._graph import Array, Shape
from .._moves import stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, integers
from .._spelling import required, shape_of


@dataclass(frozen=True)
class _Range:
    """One sliced axis: the whole, what is taken of it, and the bounds as sizes."""

    whole: Dim
    taken: Dim
    start: Dim | int
    stop: Dim | int


def _range(size: int, start: int, stop: int, step: int, call: Call) -> _Range:
    if step < 0:
        reason = "a slice reverses these entries"
        count = len(range(*slice(start, stop, step).indices(size)))
        return _Range(stays(size, reason, call), stays(count, reason, call), start, stop)
    if step == 1:
        before, inside, after = atom(start), atom(stop - start), atom(size - stop)
        return _Range(total(before, inside, after), inside, before, total(before, inside))
    return _strided(size, start, stop, step, call)


def _strided(size: int, start: int, stop: int, step: int, call: Call) -> _Range:
    """Rows of ``step`` entries of which one is taken; the last row may be short."""
    offset, count = start % step, len(range(start, stop, step))
    full = min(count, (size - start + offset) // step)
    before, rows = atom(start - offset), atom(full)
    inner = stays(step, f"one of every {step} entries is taken", call)
    rest = size - before.size - full * step
    whole, end = prod(rows, inner), total(before, Fixed(offset))
    if count == full:
        return _Range(total(before, whole, atom(rest)), rows, end, total(before, whole))
    short = stays(rest, f"one of every {step} entries is taken", call)
    return _Range(total(before, whole, short), total(rows, Fixed(1)), end, total(before, whole, Fixed(rest)))


def _at(dims: Dims, axis: int, *new: Dim) -> Dims:
    return (*dims[:axis], *new, *dims[axis + 1 :])


def _slice_rule(call: Call) -> Rule:
    shape, attrs = call.shape(0), call.attrs
    dims, axis = atoms(shape), attrs["axis"]
    found = _range(shape[axis], attrs["start"], attrs["stop"], attrs["step"], call)
    bounds = {"start": found.start, "stop": found.stop}
    return Rule(
        (_at(dims, axis, found.whole),),
        (_at(dims, axis, found.taken),),
        sizes={name: bound for name, bound in bounds.items() if not isinstance(bound, int)},
    )


def _slice_scatter_rule(call: Call) -> Rule:
    inner = _slice_rule(call)
    return Rule((*inner.operands, *inner.results), (inner.operands[0] or (),), sizes=inner.sizes)


def _slices_rule(call: Call) -> Rule:
    """As ``slice``, along several axes."""
    shape, attrs = call.shape(0), call.attrs
    whole = taken = atoms(shape)
    starts: tuple[Dim | int, ...] = ()
    stops: tuple[Dim | int, ...] = ()
    bounds = zip(attrs["axes"], attrs["starts"], attrs["stops"], attrs["steps"], strict=True)
    for axis, start, stop, step in bounds:
        found = _range(shape[axis], start, stop, step, call)
        whole, taken = _at(whole, axis, found.whole), _at(taken, axis, found.taken)
        starts, stops = (*starts, found.start), (*stops, found.stop)
    return Rule((whole,), (taken,), sizes={"starts": starts, "stops": stops})


def _select_rule(call: Call) -> Rule:
    shape, axis, index = call.shape(0), call.attrs["axis"], call.attrs["index"]
    dims, before = atoms(shape), atom(index)
    whole = total(before, Fixed(1), atom(shape[axis] - index - 1))
    return Rule((_at(dims, axis, whole),), (_at(dims, axis),), sizes={"index": before})


def _select_scatter_rule(call: Call) -> Rule:
    inner = _select_rule(call)
    return Rule((*inner.operands, *inner.results), (inner.operands[0] or (),), sizes=inner.sizes)


def _window(call: Call) -> tuple[slice | int, ...]:
    attrs = call.attrs
    lead = (slice(None),) * int(attrs["axis"])
    if "index" in attrs:
        return (*lead, attrs["index"])
    return (*lead, slice(attrs["start"], attrs["stop"], attrs["step"]))


def _take(call: Call, x: Array) -> Array:
    return np.asarray(x[_window(call)])


def _put(call: Call, x: Array, source: Array) -> Array:
    result = np.array(x)
    result[_window(call)] = source
    return result


def _take_slices(call: Call, x: Array) -> Array:
    attrs = call.attrs
    window = [slice(None)] * x.ndim
    bounds = zip(attrs["axes"], attrs["starts"], attrs["stops"], attrs["steps"], strict=True)
    for axis, start, stop, step in bounds:
        window[axis] = slice(start, stop, step)
    return np.asarray(x[tuple(window)])


def _bounds(size: int, start: int | None, stop: int | None, step: int) -> tuple[int, int]:
    """Bounds counted from the front and inside the axis; with a step ``stop`` is the end of a row.

    Backwards, an end before the first entry is ``-size - 1``, which means the same in every host.
    """
    first, last, _ = slice(start, stop, step).indices(size)
    if step < 0:
        return first, (last if last >= 0 else -size - 1)
    if step == 1:
        return first, max(first, last)
    return first, min(first - first % step + len(range(first, last, step)) * step, size)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _sliced(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    shape = shape_of(shapes)
    axis, step = axis_of(attrs["axis"], len(shape)), int(attrs["step"])
    start, stop = _bounds(shape[axis], attrs.get("start"), attrs.get("stop"), step)
    return {"axis": axis, "start": start, "stop": stop, "step": step}


def _selected(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    shape = shape_of(shapes)
    axis, index = axis_of(attrs["axis"], len(shape)), int(attrs["index"])
    return {"axis": axis, "index": index + shape[axis] if index < 0 else index}


def _sliced_axes(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    shape, starts, stops = (
        shape_of(shapes),
        integers(required(attrs, "starts")),
        integers(required(attrs, "stops")),
    )
    axes = range(len(starts)) if attrs.get("axes") is None else integers(attrs["axes"])
    axes = tuple(axis_of(axis, len(shape)) for axis in axes)
    steps = (1,) * len(starts) if attrs.get("steps") is None else integers(attrs["steps"])
    bounds = [_bounds(shape[axis], *rest) for axis, *rest in zip(axes, starts, stops, steps, strict=True)]
    return {
        "axes": axes,
        "starts": tuple(start for start, _ in bounds),
        "stops": tuple(stop for _, stop in bounds),
        "steps": steps,
    }


_ONE = {"axis": "dim", "start": "start", "stop": "end", "step": "step"}
_SEVERAL: dict[str, str | int | tuple[str | int, ...]] = {
    "starts": (1, "starts"),
    "stops": (2, "ends"),
    "axes": (3, "axes"),
    "steps": 4,
}
_ENTRY = {"axis": "dim", "index": "index"}
_WRITTEN = ("self", "src")

ops = (
    Op(
        "slice",
        ("input",),
        _slice_rule,
        _take,
        movement(),
        (Aten(("slice.Tensor",), attrs=_ONE, fix=_sliced),),
    ),
    Op(
        "slice_scatter",
        ("input", "source"),
        _slice_scatter_rule,
        _put,
        movement(),
        (Aten(("slice_scatter.default",), _WRITTEN, _ONE, _sliced),),
    ),
    Op(
        "slices",
        ("input",),
        _slices_rule,
        _take_slices,
        movement(),
        onnx=(Onnx(("Slice",), (0,), _SEVERAL, fix=_sliced_axes),),
    ),
    Op(
        "select",
        ("input",),
        _select_rule,
        _take,
        movement(),
        (Aten(("select.int",), attrs=_ENTRY, fix=_selected),),
    ),
    Op(
        "select_scatter",
        ("input", "source"),
        _select_scatter_rule,
        _put,
        movement(),
        (Aten(("select_scatter.default",), _WRITTEN, _ENTRY, _selected),),
    ),
)
