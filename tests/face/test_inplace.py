"""``inplace=True`` is all or nothing, whichever step fails and whatever it fails with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir
import pytest
import torch
from torch import nn

import prunepass as pp
from tests.cli.nets import classifier

X = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))


class Full(nn.Module):
    """Everything that a module may hold: state written by a run, a count, a list, a dict, a frozen weight, hooks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(6, 16), nn.Linear(16, 12), nn.Linear(12, 3)
        self.width, self.calls, self.log, self.memo = 16, 0, [1], {"a": 1}
        self.register_buffer("seen", torch.zeros(3))
        self.plain = torch.linspace(1, 2, 16)
        self.b.bias.requires_grad_(False)
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = (self.a(x) * self.plain).relu().view(-1, self.width)
        if not torch.compiler.is_exporting():
            self.calls += 1
            self.log.append(self.calls)
            self.memo["a"] = self.calls
            self.seen = self.seen + 1
        return self.norm(self.c(self.b(h).relu()))


def trained() -> nn.Module:
    model = Full()
    model(X).sum().backward()
    model.b.eval()
    return model


def state(model: nn.Module) -> dict[str, Any]:
    """All that can be told of a module: objects by identity, and what they hold."""
    found: dict[str, Any] = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            held = copy.copy(value) if isinstance(value, (dict, list)) else value
            found[f"{path}:{name}"] = (
                id(value),
                {k: id(v) for k, v in held.items()} if isinstance(held, dict) else held,
            )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        grad = None if tensor.grad is None else (id(tensor.grad), tensor.grad.tolist())
        found[name] = (id(tensor), tensor.tolist(), tensor.requires_grad, grad)
    return found


def fail(error: BaseException) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising


FAILURES: dict[str, tuple[str, BaseException]] = {
    "the host check": ("prunepass.drivers._replayed.host_check", pp.VerificationError("off")),
    "an interrupt in the host check": ("prunepass.drivers._replayed.host_check", KeyboardInterrupt()),
    "the report": ("prunepass._prune.report_of", ValueError("no")),
    "an interrupt in the report": ("prunepass._prune.report_of", KeyboardInterrupt()),
    "the second capture": ("prunepass.hosts.torch._check.export", pp.UnsupportedError("no")),
    "memory": ("prunepass.hosts.torch._check.differences", MemoryError()),
}


@pytest.mark.parametrize("step", FAILURES)
def test_a_module_is_as_it_was_when_a_step_of_prune_fails(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    before, (place, error) = state(model), FAILURES[step]
    monkeypatch.setattr(place, fail(error))
    with pytest.raises(type(error)):
        pp.prune(model, X, budget="macs=0.6", score="l2", inplace=True)
    assert state(model) == before


@pytest.mark.parametrize("step", ["the host check", "an interrupt in the host check", "memory"])
def test_a_module_is_as_it_was_when_a_step_of_apply_fails(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    plan = pp.prune(model, X, budget="macs=0.6", score="l2").plan
    before, (place, error) = state(model), FAILURES[step]
    monkeypatch.setattr(place, fail(error))
    with pytest.raises(type(error)):
        pp.apply(plan, model, X, inplace=True)
    assert state(model) == before


def test_without_a_failure_it_is_the_users_own_module() -> None:
    model = trained()
    plan = pp.prune(model, X, budget="macs=0.6", score="l2").plan
    expected = pp.apply(plan, model, X)
    assert pp.apply(plan, model, X, inplace=True) is model
    torch.testing.assert_close(model(X), expected(X))
    assert not model.b.training
    assert model.a.training
    assert model.seen.tolist() == [2.0] * 3  # as trained, and the call above: no check has written to it


def proto() -> onnx.ModelProto:
    return classifier()


def own() -> onnx_ir.Model:
    return onnx_ir.from_proto(classifier())


@pytest.mark.parametrize("make", [proto, own])
def test_an_onnx_model_is_as_it_was(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def content(model: Any) -> bytes:
        serial = model if isinstance(model, onnx.ModelProto) else onnx_ir.to_proto(model)
        return bytes(serial.SerializeToString(deterministic=True))

    model = make()
    before = content(model)
    monkeypatch.setattr("prunepass._prune.report_of", fail(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        pp.prune(model, budget="macs=0.6", score="l2", inplace=True)
    assert content(model) == before
    monkeypatch.undo()
    assert pp.prune(model, budget="macs=0.6", score="l2", inplace=True).model is model
    assert content(model) != before


def test_what_is_evaluated_before_and_after_is_the_original_and_what_it_became() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def size(given: nn.Module) -> float:
        return float(sum(param.numel() for param in given.parameters()))

    whole = size(model)
    task = pp.task_of(evaluate=size)
    result = pp.prune(model, X, score="l2", repair="none", inplace=True, task=task)
    found = result.report.evaluation
    assert result.model is model and found is not None
    assert (found.before, found.after) == (whole, size(model)) and size(model) < whole
    assert "| evaluate |" in result.report.to_markdown()
