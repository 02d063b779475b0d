"""Code that computes something else when it runs than when it is captured: found by the host check, and avoided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import prunepass as pp

X = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
_MEMO: dict[int, float] = {}


def by_branch(x: torch.Tensor) -> torch.Tensor:
    return x / (16 if torch.compiler.is_exporting() else x.size(-1)) ** 0.5


def by_memo(x: torch.Tensor) -> torch.Tensor:
    """A capture only ever sees the first width."""
    first = _MEMO.setdefault(0, float(x.size(-1)))
    return x * (first if torch.compiler.is_exporting() else x.size(-1))


class Hidden(nn.Module):
    def __init__(self, scale: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._scale(x)


def net(scale: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    torch.manual_seed(0)
    _MEMO.clear()
    front = (nn.Linear(8, 16), nn.ReLU(), Hidden(scale))
    return nn.Sequential(*front, nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()


@pytest.mark.parametrize("scale", [by_branch, by_memo])
@pytest.mark.parametrize("inplace", [False, True])
def test_it_is_planned_around(scale: Callable[[torch.Tensor], torch.Tensor], inplace: bool) -> None:
    result = pp.prune(net(scale), X, budget="macs=0.7", score="l2", mode="uniform", inplace=inplace)
    assert result.model[0].out_features == 16
    assert result.model[3].out_features < 32
    assert any("test_host_code.py" in reason for _, _, reason in result.plan.pins)
    as_graph = pp.apply(result.plan, net(scale), X, form="graph")
    torch.testing.assert_close(result.model(X), as_graph(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inplace", [False, True])
def test_apply_refuses_and_says_where(inplace: bool) -> None:
    model = net(by_branch)
    plan = pp.prune(model, X, budget="macs=0.7", score="l2", mode="uniform", form="graph").plan
    with pytest.raises(
        pp.UnsupportedError, match=r"^2, test_host_code.py:\d+: output .* is off the reference"
    ):
        pp.apply(plan, model, X, inplace=inplace)
    assert model[0].out_features == 16


def test_what_no_module_explains_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(*_: object) -> None:
        raise pp.VerificationError("off the reference")

    monkeypatch.setattr("prunepass.drivers._replayed.host_check", off)
    with pytest.raises(pp.VerificationError, match="off the reference"):
        pp.prune(net(torch.relu), X, budget="macs=0.7", score="l2")
