"""Recurrent cells, unrolled over their steps in plain arrays.

Gates stand side by side in the rows of a weight: torch has LSTM input, forget, cell, output and GRU reset,
update, new; ONNX has LSTM input, output, forget, cell and GRU update, reset, new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._elementary import sigmoid
from ._graph import Array

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@dataclass(frozen=True, slots=True)
class Cell:
    """One direction of one layer.

    Attributes:
        kind: ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.
        weight, recurrent: shapes (gates * hidden, inputs) and (gates * hidden, hidden).
        bias, recurrent_bias: shape (gates * hidden,).
        peepholes: of an LSTM, from the cell to input, output and forget gate: shape (3 * hidden,).
        order: where in the rows each gate stands, in torch's order.
        reset_after: a GRU resets what the recurrent weight makes of the state, not the state itself.
    """

    kind: str
    weight: Array
    recurrent: Array
    bias: Array | None = None
    recurrent_bias: Array | None = None
    peepholes: Array | None = None
    order: tuple[int, ...] = ()
    reset_after: bool = True

    def gates(self, rows: Array) -> list[Array]:
        """The last axis apart by gates, in torch's order."""
        parts = np.split(rows, GATES[self.kind], axis=-1)
        return [parts[at] for at in self.order] if self.order else parts

    def unrolled(
        self, x: Array, state: Array, memory: Array, *, back: bool = False
    ) -> tuple[Array, Array, Array]:
        """Every state for ``x`` of shape (steps, batch, inputs), the last state and the last memory."""
        made = np.matmul(x, self.weight.T)
        made = made if self.bias is None else made + self.bias
        states = np.zeros((*x.shape[:2], self.recurrent.shape[1]), made.dtype)
        step = _STEPS[self.kind]
        for at in reversed(range(len(x))) if back else range(len(x)):
            state, memory = step(self, made[at], state, memory)
            states[at] = state
        return states, state, memory

    def recalled(self, state: Array, rows: Array | None = None) -> Array:
        """Product of the recurrent weight, or some rows of it, with the state."""
        weight = self.recurrent if rows is None else rows
        return np.asarray(np.matmul(state, weight.T))


def _lstm(cell: Cell, made: Array, state: Array, memory: Array) -> tuple[Array, Array]:
    made = made + cell.recalled(state)
    made = made if cell.recurrent_bias is None else made + cell.recurrent_bias
    enter, forget, new, leave = cell.gates(made)
    looks = (0.0, 0.0, 0.0) if cell.peepholes is None else np.split(cell.peepholes, 3)
    kept = sigmoid(forget + looks[2] * memory) * memory
    memory = kept + sigmoid(enter + looks[0] * memory) * np.tanh(new)
    return np.asarray(sigmoid(leave + looks[1] * memory) * np.tanh(memory)), memory


def _gru(cell: Cell, made: Array, state: Array, memory: Array) -> tuple[Array, Array]:
    reset_in, update_in, new_in = cell.gates(made)
    bias = np.zeros(made.shape[-1]) if cell.recurrent_bias is None else cell.recurrent_bias
    reset_by, update_by, new_by = (rows.T for rows in cell.gates(cell.recurrent.T))
    reset_bias, update_bias, new_bias = cell.gates(bias)
    reset = sigmoid(reset_in + cell.recalled(state, reset_by) + reset_bias)
    update = sigmoid(update_in + cell.recalled(state, update_by) + update_bias)
    if cell.reset_after:
        recalled = reset * (cell.recalled(state, new_by) + new_bias)
    else:
        recalled = cell.recalled(reset * state, new_by) + new_bias
    return np.asarray((1 - update) * np.tanh(new_in + recalled) + update * state), memory


def _plain(
    activation: Callable[[Array], Array],
) -> Callable[[Cell, Array, Array, Array], tuple[Array, Array]]:
    def step(cell: Cell, made: Array, state: Array, memory: Array) -> tuple[Array, Array]:
        made = made + cell.recalled(state)
        made = made if cell.recurrent_bias is None else made + cell.recurrent_bias
        return activation(made), memory

    return step


_STEPS: dict[str, Callable[[Cell, Array, Array, Array], tuple[Array, Array]]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _plain(lambda made: np.asarray(np.tanh(made))),
    "rnn_relu": _plain(lambda made: np.asarray(np.maximum(made, 0))),
}
