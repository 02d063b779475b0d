"""Dead channels go first, and their loss moves nothing: a test of groups that needs no peer and no proof.

In every group every second channel is made dead: what makes, scales or shifts it is zero. Pruning half by
magnitude must then leave the outputs as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import prunepass as pp
from prunepass.ir import Array, kept_index
from prunepass.passes import Coupling, Group, Pass, Select
from prunepass.passes._standard import Cut, Score
from tests.face.nets import LIGHT, TORCH, TRAINED, session_outputs, with_weights

Silence = Callable[[str, int, Array], None]

# A head whose query alone is dead is not: it takes the plain mean of values that other heads use too.
_WHOLE = {"grouped_query": ("attn.q_proj#2",)}


def _mortal(coupling: Coupling, floats: Callable[[str], bool]) -> Iterator[tuple[Group, list[Any]]]:
    """Groups that can be half dead, with the members to silence.

    A statistic over half dead channels is another one, and a table of indices has no dead entries.
    """
    for group in coupling.prunable:
        held = (member for member in group.members if member.tensor in coupling.graph.params)
        makers = [member for member in held if member.role in ("produced", "carried")]
        if not group.inexact and all(floats(member.tensor) for member in makers):
            yield group, makers


def _kill(
    coupling: Coupling, floats: Callable[[str], bool], silence: Silence, whole: Sequence[str] = ()
) -> list[Pass]:
    """Silence every second channel; the pipeline that keeps as many as are alive."""
    ratios = {group.name: 1.0 for group in coupling.prunable}
    for group, makers in _mortal(coupling, floats):
        assert group.atom is not None
        if group.name in whole:
            continue
        keep = {group.atom: np.arange(0, group.size, 2)}
        ratios[group.name] = len(keep[group.atom]) / group.size
        for member in makers:
            dim = coupling.dims[member.tensor][member.axis]
            silence(member.tensor, member.axis, np.setdiff1d(np.arange(dim.size), kept_index(dim, keep)))
    assert any(ratio < 1 for ratio in ratios.values())
    return [Score("l2"), Select(budget="channels=1", ratios=ratios), Cut()]


def _killed_module(name: str) -> tuple[Any, Any, list[Pass]]:
    model, inputs = TORCH[name]()
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def silence(tensor: str, axis: int, index: Array) -> None:
        # Without variance there would be nothing to divide by.
        if not tensor.endswith("running_var"):
            with torch.no_grad():
                state[tensor].index_fill_(axis, torch.from_numpy(index), 0.0)

    coupling = pp.analyze(pp.capture(model, inputs)).coupling
    pipeline = _kill(
        coupling,
        lambda name: name in state and state[name].is_floating_point(),
        silence,
        _WHOLE.get(name, ()),
    )
    return model, inputs, pipeline


@pytest.mark.parametrize("name", TORCH)
def test_dead_channels_of_a_module_go_first_and_nothing_moves(name: str) -> None:
    model, inputs, pipeline = _killed_module(name)
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    wanted = model(*arguments)
    result = pp.prune(model, inputs, pipeline=pipeline, form="graph")
    assert result.report.after.macs < 0.8 * result.report.before.macs
    got = result.model(*arguments)
    pairs = zip(_tensors(got), _tensors(wanted), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max().detach()))


def _tensors(made: Any) -> list[torch.Tensor]:
    if isinstance(made, torch.Tensor):
        return [made]
    parts = made.values() if isinstance(made, dict) else made
    return [tensor for part in parts for tensor in _tensors(part)]


def _killed_file(model: onnx.ModelProto) -> list[Pass]:
    weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def silence(name: str, axis: int, index: Array) -> None:
        data = numpy_helper.to_array(weights[name]).copy()
        np.moveaxis(data, axis, 0)[index] = 0
        weights[name].CopyFrom(numpy_helper.from_array(data, name))

    def floats(name: str) -> bool:
        return name in weights and weights[name].data_type == onnx.TensorProto.FLOAT

    return _kill(pp.analyze(pp.capture(model)).coupling, floats, silence)


@pytest.mark.parametrize("name", [*LIGHT, *TRAINED])
def test_dead_channels_of_an_onnx_file_go_first_and_nothing_moves(name: str) -> None:
    model = with_weights(name)
    pipeline = _killed_file(model)
    wanted = session_outputs(model)
    result = pp.prune(model, pipeline=pipeline)
    assert result.report.after.macs < 0.8 * result.report.before.macs
    for got, want in zip(session_outputs(result.model), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5 * float(np.abs(want).max()))


def test_the_test_can_fail() -> None:
    """The same cut of a network whose channels are alive does move the outputs."""
    _, inputs, pipeline = _killed_module("resnet18")
    alive, _ = TORCH["resnet18"]()
    with torch.no_grad():
        wanted = alive(inputs)
        got = pp.prune(alive, inputs, pipeline=pipeline, form="graph").model(inputs)
    assert float((got - wanted).abs().max()) > 1e-2 * float(wanted.abs().max())
