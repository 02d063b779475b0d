"""Recurrent layers as torch writes them."""

from __future__ import annotations

import pytest

from prunepass.ir import Array, Call, Sum, UnsupportedError, atoms_of, registry
from tests.law import free_atoms, solved
from tests.probe import data, probe_aten

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
STEPS, BATCH, WIDTH, HIDDEN = 3, 2, 4, 5


def params(kind: str, layers: int, dirs: int, biased: bool) -> list[Array]:
    """Params of every layer and direction, as torch lists them."""
    rows, made = GATES[kind] * HIDDEN, list[Array]()
    for layer in range(layers):
        width = WIDTH if layer == 0 else HIDDEN * dirs
        for _ in range(dirs):
            shapes = [(rows, width), (rows, HIDDEN), *(((rows,), (rows,)) if biased else ())]
            made += [data(*shape, seed=len(made) + at) for at, shape in enumerate(shapes)]
    return made


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("biased", "batch_first"), [(True, False), (False, True)])
def test_torch_recurrent_layers(kind: str, layers: int, both: bool, biased: bool, batch_first: bool) -> None:
    dirs = 2 if both else 1
    x = data(BATCH, STEPS, WIDTH) if batch_first else data(STEPS, BATCH, WIDTH)
    state = data(layers * dirs, BATCH, HIDDEN, seed=9)
    first = [state, data(layers * dirs, BATCH, HIDDEN, seed=10)] if kind == "lstm" else state
    weights = params(kind, layers, dirs, biased)
    probe = probe_aten(f"{kind}.input", x, first, weights, biased, layers, 0.0, False, both, batch_first)
    rule = probe.rule
    (hidden,) = set(atoms_of(rule.results[0][2]))
    assert isinstance(rule.results[0][2], Sum) == both
    assert [leaf.size for leaf in free_atoms(rule, solved(rule))] == [
        *((BATCH, WIDTH)),
        hidden.size,
    ]


def test_the_batch_may_be_as_large_as_the_hidden_space() -> None:
    x, state = data(1, HIDDEN, HIDDEN), data(1, HIDDEN, HIDDEN, seed=9)
    weights = [data(HIDDEN, HIDDEN, seed=1), data(HIDDEN, HIDDEN, seed=2)]
    probe_aten("rnn_tanh.input", x, state, weights, False, 1, 0.0, False, False, False)


def test_projections_are_refused() -> None:
    attrs = {"kind": "lstm", "layers": 1, "both": False, "biased": False, "batch_first": False}
    shapes = ((3, 2, 4), (1, 2, 5), (1, 2, 5), (20, 4), (20, 3), (3, 5))
    with pytest.raises(UnsupportedError, match="projections"):
        registry()["lstm_stack"].rule(Call(attrs, shapes))
