"""Real architectures all the way: captured, cut to half, proven, trained on, exported, run."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import prunepass as pp  # noqa: E402
from tests.face.nets import LIGHT, TORCH, TRAINED, session_outputs, with_weights  # noqa: E402


@pytest.mark.parametrize("name", TORCH)
def test_half_of_a_module_is_proven_trains_and_runs_elsewhere(name: str) -> None:
    model, inputs = TORCH[name]()
    keys = list(model.state_dict())
    result = pp.prune(model, inputs, budget="macs=0.5", score="l2")
    small, report = result.model, result.report
    assert report.after.macs <= 0.5 * report.before.macs
    assert report.proof is not None
    assert report.proof.worst < 1e-9
    assert type(small) is type(model)
    assert list(small.state_dict()) == keys
    _train_one_step(small, inputs)
    _same_in_onnx_runtime(small, inputs)


def _outputs(made: Any) -> list[Any]:
    """The tensors of whatever a forward returns."""
    if isinstance(made, torch.Tensor):
        return [made]
    parts = made.values() if isinstance(made, dict) else made
    return [tensor for part in parts for tensor in _outputs(part)]


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _train_one_step(model: Any, inputs: Any) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    sum(part.float().square().mean() for part in _outputs(model(*_arguments(inputs)))).backward()
    assert any(parameter.grad is not None for parameter in model.parameters())
    optimiser.step()


def _same_in_onnx_runtime(model: Any, inputs: Any) -> None:
    ort = pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    arguments = _arguments(inputs)
    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, arguments, file, dynamo=True, verbose=False)
        wanted = [part.numpy() for part in _outputs(model(*arguments))]
    session = ort.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    feeds = {put.name: part.numpy() for put, part in zip(session.get_inputs(), arguments, strict=True)}
    for got, want in zip(session.run(None, feeds), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(want).max())))


@pytest.mark.parametrize("name", [*LIGHT, *TRAINED])
def test_half_of_an_onnx_file_is_proven_and_runs(name: str) -> None:
    result = pp.prune(with_weights(name), budget="macs=0.5", score="l2")
    report = result.report
    assert report.after.macs <= 0.5 * report.before.macs
    assert report.proof is not None and report.proof.worst < 1e-9
    assert report.host is not None and report.host.worst <= report.host.tolerance
    assert all(np.isfinite(found).all() for found in session_outputs(result.model))
