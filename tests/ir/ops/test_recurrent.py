"""Recurrent layers as ONNX writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Call, Prod, Sum, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.law import free_atoms, solved
from tests.probe import Probe, data, probe_onnx

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, BATCH, WIDTH, HIDDEN = 4, 2, 3, 5


def operands(kind: str, dirs: int) -> list[Array | None]:
    """Input, weights and biases, no lengths, first states, and peepholes of an LSTM."""
    rows = GATES[kind] * HIDDEN
    given: list[Array | None] = [
        data(STEPS, BATCH, WIDTH),
        data(dirs, rows, WIDTH, seed=1),
        data(dirs, rows, HIDDEN, seed=2),
        data(dirs, 2 * rows, seed=3),
        None,
        data(dirs, BATCH, HIDDEN, seed=4),
    ]
    return (
        [*given, data(dirs, BATCH, HIDDEN, seed=5), data(dirs, 3 * HIDDEN, seed=6)]
        if kind == "LSTM"
        else given
    )


def probe(
    kind: str, inputs: list[Array | None], opset: int = 14, engine: str = "onnxruntime", **attrs: Any
) -> Probe:
    outputs = 3 if kind == "LSTM" else 2
    return probe_onnx(kind, opset, inputs, {"hidden_size": HIDDEN, **attrs}, outputs=outputs, engine=engine)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions(kind: str, direction: str) -> None:
    inputs = operands(kind, 2 if direction == "bidirectional" else 1)
    for opset in (7, 14, 22):
        probe(kind, inputs, opset, direction=direction)


@pytest.mark.parametrize("kind", GATES)
def test_what_is_optional_may_be_absent(kind: str) -> None:
    probe(kind, operands(kind, 1)[:3])
    probe(kind, operands(kind, 1)[:4])
    without_bias = [*operands(kind, 1)[:3], None, *operands(kind, 1)[4:6]]
    probe(kind, without_bias)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_gru_may_reset_after_the_product(direction: str) -> None:
    inputs = operands("GRU", 2 if direction == "bidirectional" else 1)
    probe("GRU", inputs, linear_before_reset=1, direction=direction)


def test_activations_that_are_the_usual_ones() -> None:
    probe("RNN", operands("RNN", 1), activations=["Relu"])
    probe("RNN", operands("RNN", 2), activations=["Relu", "Relu"], direction="bidirectional")
    probe("LSTM", operands("LSTM", 1), activations=["Sigmoid", "Tanh", "Tanh"])


def test_the_batch_may_come_first() -> None:
    inputs = [data(BATCH, STEPS, WIDTH), *operands("RNN", 1)[1:3]]
    rule = probe("RNN", inputs, engine="reference", layout=1).rule
    assert [dim.size for dim in rule.results[0]] == [BATCH, STEPS, 1, HIDDEN]


def test_other_activations_are_refused() -> None:
    op, spelling = registry().onnx("LSTM", 14) or pytest.fail("not declared")
    assert op.name == "lstm"
    assert spelling.fix is not None
    with pytest.raises(UnsupportedError, match="Hardsigmoid"):
        spelling.fix({"activations": ("HardSigmoid", "Tanh", "Tanh"), "opset": 14, "outputs": 1}, ())


def test_weights_of_another_width_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="lstm"):
        registry()["lstm"].rule(Call({"kind": "lstm"}, ((4, 2, 3), (1, 20, 4), (1, 20, 5))))


def test_hidden_entries_are_one_space_in_weights_states_and_biases() -> None:
    rule = probe("LSTM", operands("LSTM", 1)).rule
    (hidden,) = atoms_of(rule.results[0][3])
    dims = [rule.operands[at] for at in (1, 2, 3, 4, 5, 6)]
    assert all(part is not None and hidden in atoms_of(part[-1]) for part in dims[1:])
    assert dims[0] is not None
    assert isinstance(dims[0][1], Prod)
    assert dims[2] is not None
    assert isinstance(dims[2][1], (Prod, Sum))
    assert [leaf.size for leaf in free_atoms(rule, solved(rule))] == [BATCH, WIDTH, HIDDEN]
    cut = cut_attrs({"hidden": HIDDEN}, rule, solved(rule).norm, {hidden: np.array([0, 3])})
    assert cut == {"hidden": 2}
