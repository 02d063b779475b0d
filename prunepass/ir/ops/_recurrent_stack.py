"""LSTM, GRU and plain recurrent layers as torch writes them: several layers, one or two directions.

Rule: as for one layer; every layer and direction has the same hidden ``h``, for their last states stand in one
result. A layer above reads ``h``, or ``Sum(h, h)`` of both directions. Params come as torch lists them: for each
layer and direction the weight, the recurrent weight and, where there are biases, two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._cells import GATES, Cell
from .._dims import Dim, Dims, Fixed, atom, prod, total
from .._errors import UnsupportedError
from .._flow import Arrays, Flow
from .._graph import Array
from .._moves import stays
from .._op import Aten, Call, Op, Rule

_STEPS = "steps follow each other"


def _states(call: Call) -> int:
    return 2 if call.attrs["kind"] == "lstm" else 1


def _layout(call: Call) -> tuple[int, int, int]:
    """Numbers of layers, of directions, and of params for each of them."""
    layers, dirs = int(call.attrs["layers"]), 2 if call.attrs["both"] else 1
    each = 4 if call.attrs["biased"] else 2
    if len(call.shapes) != 1 + _states(call) + layers * dirs * each:
        raise UnsupportedError("a recurrent layer with projections", where=call.origin)
    return layers, dirs, each


def _rule(call: Call) -> Rule:
    layers, dirs, each = _layout(call)
    data, batch_first = call.shape(0), bool(call.attrs["batch_first"])
    if len(data) != 3:
        raise UnsupportedError(f"a recurrent layer over {data}", where=call.origin)
    steps, batch = data[1::-1] if batch_first else data[:2]
    t, b, i, h = stays(steps, _STEPS, call), atom(batch), atom(data[2]), atom(call.shape(1)[2])
    rows, state = prod(Fixed(GATES[call.attrs["kind"]]), h), (Fixed(layers * dirs), b, h)
    every = total(*(h,) * dirs)
    params: list[Dims] = []
    work: list[Dims] = []
    for layer in range(layers):
        read: Dim = i if layer == 0 else every
        params += [(rows, read), (rows, h), (rows,), (rows,)][:each] * dirs
        work += [(t, b, rows, read), (t, b, rows, h)] * dirs
    count = _states(call)
    return Rule(
        ((b, t, i) if batch_first else (t, b, i), *(state,) * count, *params),
        ((b, t, every) if batch_first else (t, b, every), *(state,) * count),
        contracted=(i, h),
        work=tuple(work),
    )


def _cells(call: Call, params: Arrays) -> Iterator[list[Cell]]:
    """The directions of one layer after the other."""
    layers, dirs, each = _layout(call)
    made = []
    for at in range(0, layers * dirs * each, each):
        own = [np.asarray(array) for array in params[at : at + each]]
        bias, second = (own[2], own[3]) if len(own) > 2 else (None, None)
        made.append(Cell(str(call.attrs["kind"]), own[0], own[1], bias, second))
    return (made[at : at + dirs] for at in range(0, layers * dirs, dirs))


def _evaluate(call: Call, *arrays: Array | None) -> tuple[Array, ...]:
    count, batch_first = _states(call), bool(call.attrs["batch_first"])
    x, first = np.asarray(arrays[0]), np.asarray(arrays[1])
    memories = np.asarray(arrays[2]) if count == 2 else np.zeros_like(first)
    x = x.swapaxes(0, 1) if batch_first else x
    last: list[tuple[Array, Array]] = []
    for cells in _cells(call, arrays[1 + count :]):
        halves = []
        for direction, cell in enumerate(cells):
            at = len(last)
            states, state, memory = cell.unrolled(x, first[at], memories[at], back=direction == 1)
            halves.append(states)
            last.append((state, memory))
        x = np.concatenate(halves, axis=-1)
    kept = (np.stack([pair[part] for pair in last]) for part in range(count))
    return (x.swapaxes(0, 1) if batch_first else x, *kept)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """A state is a gate times a tanh, or a mean of such: at most 1."""
    return tuple(np.ones(shape) for shape in call.results)


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """An input by its weights into all gates of the first layer, a state by its own recurrent ones."""
    own, count = np.asarray(mags[position]), _states(call)
    cells = list(_cells(call, mags[1 + count :]))
    if position == 0:
        return np.asarray(own * sum(cell.weight.sum(axis=0) for cell in cells[0]))
    if position == 1:
        return np.asarray(
            own * np.stack([cell.recurrent.sum(axis=0) for layer in cells for cell in layer])[:, None]
        )
    return own


def _op(name: str, kind: str, inputs: tuple[str, ...], operands: tuple[str, ...]) -> Op:
    def fix(attrs: dict[str, Any], shapes: Any) -> dict[str, Any]:
        return {**attrs, "kind": kind}

    spelling = Aten((f"{kind}.input",), ("input", *inputs, "params"), _ATTRS, fix)
    return Op(name, operands, _rule, _evaluate, Flow(_magnitude, inflow=_inflow), (spelling,))


_ATTRS = {
    "layers": "num_layers",
    "both": "bidirectional",
    "biased": "has_biases",
    "batch_first": "batch_first",
}

ops = (
    _op("lstm_stack", "lstm", ("hx",), ("input", "state", "memory", "weight")),
    _op("gru_stack", "gru", ("hx",), ("input", "state", "weight")),
    _op("rnn_tanh_stack", "rnn_tanh", ("hx",), ("input", "state", "weight")),
    _op("rnn_relu_stack", "rnn_relu", ("hx",), ("input", "state", "weight")),
)
