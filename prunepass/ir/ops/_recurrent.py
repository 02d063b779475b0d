"""LSTM, GRU and plain recurrent layers as ONNX writes them: one layer, one or two directions.

Rule: weight ``(dirs, Prod(gates, h), i)``, recurrent weight ``(dirs, Prod(gates, h), h)``, biases side by side
``(dirs, Sum(Prod(gates, h), Prod(gates, h)))``. Inputs ``i`` and the hidden ``h`` are contracted; ``h`` passes
too and is the size ``hidden``. A hidden entry whose weights, biases and first state are zero stays zero (a gate
is then 0.5, but what it opens is 0), so cutting is exact. Steps and directions are pinned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._cells import GATES, Cell
from .._dims import Dims, Fixed, atom, prod, total
from .._errors import UnsupportedError
from .._flow import Arrays, Flow
from .._graph import Array, Shape
from .._moves import stays
from .._op import Call, Onnx, Op, Rule
from .._plain import host_facts, word

_STEPS = "steps follow each other"
_ORDER = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2)}


def _rule(call: Call) -> Rule:
    kind, batch_first = str(call.attrs["kind"]), bool(call.attrs.get("batch_first", False))
    data, weight = call.shape(0), call.shape(1)
    gates = GATES[kind]
    if len(data) != 3 or len(weight) != 3 or weight[1] % gates or weight[2] != data[2]:
        raise UnsupportedError(f"'{kind}' of {data} with weight {weight}", where=call.origin)
    steps, batch = data[:2] if not batch_first else data[1::-1]
    t, b, i, h = stays(steps, _STEPS, call), atom(batch), atom(data[2]), atom(weight[1] // gates)
    dirs, rows = Fixed(weight[0]), prod(Fixed(gates), h)
    state: Dims = (b, dirs, h) if batch_first else (dirs, b, h)
    possible: tuple[Dims, ...] = (
        (b, t, i) if batch_first else (t, b, i),
        (dirs, rows, i),
        (dirs, rows, h),
        (dirs, total(rows, rows)),
        state,
        state,
        (dirs, prod(Fixed(3), h)),
    )
    operands = tuple(possible[at] if call.has(at) else None for at in range(len(call.shapes)))
    every: Dims = (b, t, dirs, h) if batch_first else (t, dirs, b, h)
    results = (every, state, state)[: 3 if kind == "lstm" else 2]
    return Rule(
        operands,
        results,
        contracted=(i, h),
        sizes={"hidden": h},
        work=((t, b, dirs, rows, i), (t, b, dirs, rows, h)),
    )


def _cell(call: Call, arrays: Arrays, direction: int) -> Cell:
    weight, recurrent, both, _, _, looks = (arrays[at] if at < len(arrays) else None for at in range(1, 7))
    kind = str(call.attrs["kind"])
    bias, recurrent_bias = (None, None) if both is None else np.split(both[direction], 2)
    return Cell(
        kind,
        np.asarray(weight)[direction],
        np.asarray(recurrent)[direction],
        bias,
        recurrent_bias,
        None if looks is None else looks[direction],
        _ORDER.get(kind, ()),
        bool(call.attrs.get("reset_after", False)),
    )


def _evaluate(call: Call, *arrays: Array | None) -> tuple[Array, ...]:
    batch_first, direction = (
        bool(call.attrs.get("batch_first", False)),
        call.attrs.get("direction", "forward"),
    )
    x = np.asarray(arrays[0])
    x = x.swapaxes(0, 1) if batch_first else x
    dirs = np.asarray(arrays[1]).shape[0]
    made = []
    for at in range(dirs):
        cell = _cell(call, arrays, at)
        start = np.zeros((x.shape[1], cell.recurrent.shape[1]), x.dtype)
        first, memory = (_state(arrays, position, at, start, batch_first) for position in (4, 5))
        made.append(cell.unrolled(x, first, memory, back=direction == "reverse" or at == 1))
    parts = zip(zip(*made, strict=True), (1, 0, 0), strict=True)
    states, last, memories = (np.stack(part, axis=axis) for part, axis in parts)
    if batch_first:
        states, last, memories = states.transpose(2, 0, 1, 3), last.swapaxes(0, 1), memories.swapaxes(0, 1)
    return (states, last, memories) if call.attrs["kind"] == "lstm" else (states, last)


def _state(arrays: Arrays, position: int, direction: int, start: Array, batch_first: bool) -> Array:
    given = arrays[position] if position < len(arrays) else None
    if given is None:
        return start
    return given[:, direction] if batch_first else given[direction]


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """A state is a gate times a tanh, or a mean of such: at most 1."""
    return tuple(np.ones(shape) for shape in call.results)


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """An input by its weights into all gates, a state by its recurrent ones; gates pass at most what they get."""
    own = np.asarray(mags[position])
    if position == 0:
        return np.asarray(own * np.asarray(mags[1]).sum(axis=(0, 1)))
    if position != 4:
        return own
    met = np.asarray(mags[2]).sum(axis=1)
    return np.asarray(own * (met if call.attrs.get("batch_first", False) else met[:, None]))


_Fix = Callable[["dict[str, Any]", "tuple[Shape | None, ...]"], "dict[str, Any]"]


def _fix(kind: str, activations: tuple[str, ...]) -> _Fix:
    """Other activations than the usual ones may not be 0 at 0, and then nothing here holds."""

    def fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
        plain, _, _ = host_facts(attrs)
        direction = word(plain.get("direction", "forward"))
        usual = activations * (2 if direction == "bidirectional" else 1)
        given = tuple(word(name).capitalize() for name in plain.get("activations") or usual)
        relu = kind == "rnn_tanh" and set(given) == {"Relu"}
        if not relu and given[: len(usual)] != usual:
            raise UnsupportedError(f"a recurrent layer with activations {', '.join(given)}")
        neutral: dict[str, Any] = {
            "kind": "rnn_relu" if relu else kind,
            "direction": direction,
            "batch_first": bool(plain.get("layout", 0)),
        }
        neutral |= {"hidden": int(plain["hidden"])} if "hidden" in plain else {}
        return {**neutral, "reset_after": bool(plain.get("reset_after", 0))} if kind == "gru" else neutral

    return fix


_ATTRS: dict[str, str | int | tuple[str | int, ...]] = {
    "hidden": "hidden_size",
    "direction": "direction",
    "layout": "layout",
    "activations": "activations",
}
_NAMES = ("input", "weight", "recurrent_weight", "bias", "state")
_FLOW = Flow(_magnitude, inflow=_inflow)


def _op(
    name: str, kind: str, inputs: tuple[int, ...], activations: tuple[str, ...], more: dict[str, str]
) -> Op:
    operands = (*_NAMES, "memory", "peephole") if kind == "lstm" else _NAMES
    spelling = Onnx(
        (kind.partition("_")[0].upper(),), inputs, {**_ATTRS, **more}, fix=_fix(kind, activations)
    )
    return Op(name, operands, _rule, _evaluate, _FLOW, onnx=(spelling,))


ops = (
    _op("lstm", "lstm", (0, 1, 2, 3, 5, 6, 7), ("Sigmoid", "Tanh", "Tanh"), {}),
    _op("gru", "gru", (0, 1, 2, 3, 5), ("Sigmoid", "Tanh"), {"reset_after": "linear_before_reset"}),
    _op("rnn", "rnn_tanh", (0, 1, 2, 3, 5), ("Tanh",), {}),
)
