"""What is wrapped around a module is taken off; what is no plain module is told, with what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.ao import quantization
from torch.optim.swa_utils import AveragedModel

import prunepass as pp
from prunepass.hosts.torch import capture, export

X = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*([Oo]bserver|quantized tensor creation).*:UserWarning"),
]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)).eval()


class Compiling(nn.Module):
    """Calls a compiled function, holds a compiled part, and is compiled in place itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = torch.compile(net()), nn.Linear(4, 3)
        self.double = torch.compile(lambda x: x * 2)
        self.compile()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.double(self.inner(x)))


WRAPPED: dict[str, Callable[[], nn.Module]] = {
    "compiled": lambda: torch.compile(net()),  # type: ignore[return-value]
    "parallel": lambda: nn.DataParallel(net()),
    "averaged": lambda: AveragedModel(net()),
    "parallel and compiled": lambda: nn.DataParallel(torch.compile(net())),  # type: ignore[arg-type]
}


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a compiler ran")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", refuse)


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("kind", WRAPPED)
def test_a_wrapper_is_taken_off(kind: str) -> None:
    given = WRAPPED[kind]()
    expected = pp.prune(net(), X, budget="macs=0.6", score="l2")
    found = pp.prune(given, X, budget="macs=0.6", score="l2")
    assert type(found.model) is nn.Sequential
    assert found.plan == expected.plan
    assert list(found.model.state_dict()) == list(net().state_dict())
    pp.verify(given, torch.compile(found.model), found.plan, X)


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("inplace", [False, True])
def test_what_is_compiled_inside_is_run_as_it_is_written(inplace: bool) -> None:
    model = Compiling().eval()
    found = pp.prune(model, X, budget="macs=0.6", score="l2", inplace=inplace).model
    assert type(found) is Compiling
    assert found.inner._orig_mod[0].out_features < 16


def with_weight(tensor: torch.Tensor) -> nn.Module:
    model = net()
    model[0].register_buffer("extra", tensor)
    return model


def with_part(part: nn.Module) -> nn.Module:
    return nn.Sequential(net(), part)


def prepared(*, training: bool) -> nn.Module:
    model = net().train(training)
    if training:
        model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
        return quantization.prepare_qat(model)
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    return quantization.prepare(model)


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "scripted": (lambda: torch.jit.script(net()), "TorchScript", "the nn.Module that was scripted"),
    "traced": (lambda: torch.jit.trace(net(), (X,)), "TorchScript", "the nn.Module that was scripted"),
    "a traced function": (lambda: torch.jit.trace(torch.relu, (X,)), "TorchScript", "scripted or traced"),
    "scripted inside": (
        lambda: with_part(torch.jit.script(nn.ReLU())),
        r"^1: .*TorchScript",
        "scripted or traced",
    ),
    "packed codes": (
        lambda: quantization.quantize_dynamic(net(), {nn.Linear}),
        r"^0: a DynamicQuantizedLinear holds its weights as packed codes",
        "prune the float module first",
    ),
    "prepared for training": (
        lambda: prepared(training=True),
        "prepared for quantisation: a FusedMovingAvgObsFakeQuantize",
        "prune the float module first",
    ),
    "prepared": (
        lambda: prepared(training=False),
        "prepared for quantisation: a .*Observer",
        "QuantizeLinear",
    ),
    "no shape yet": (
        lambda: with_part(nn.LazyLinear(3)),
        "weight '1.weight' has no shape yet",
        "run the module once",
    ),
    "sparse": (
        lambda: with_weight(torch.eye(3).to_sparse()),
        "weight '0.extra' is no plain tensor",
        "dense tensors",
    ),
    "coded": (
        lambda: with_weight(torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)),
        "weight '0.extra' is no plain tensor",
        "dense tensors",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_plain_module_is_told(kind: str) -> None:
    make, what, advice = REFUSED[kind]
    with pytest.raises(pp.PrunepassError, match=what) as caught:
        pp.prune(make(), X, budget="macs=0.6", score="l2")
    assert advice in caught.value.advice
    assert isinstance(caught.value, pp.UsageError if kind == "no shape yet" else pp.UnsupportedError)


def test_a_plain_module_is_captured_as_itself() -> None:
    model = net()
    assert capture(export(model, X)).name == "Sequential"
