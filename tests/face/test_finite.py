"""Minus infinity is a mask where it is read as data, and a broken weight everywhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import prunepass as pp

X = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))

Mix = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
MIXES: dict[str, Mix] = {
    "added": lambda h, mask: (h @ h.transpose(1, 2) + mask).softmax(-1) @ h,
    "a part of it added": lambda h, mask: (
        (h @ h.transpose(1, 2) + mask[: h.size(1), : h.size(1)]).softmax(-1) @ h
    ),
    "of fused attention": lambda h, mask: functional.scaled_dot_product_attention(
        h, h, h, attn_mask=mask, scale=0.3
    ),
    "chosen": lambda h, mask: torch.where(mask < 0, mask, h @ h.transpose(1, 2)).softmax(-1) @ h,
    "turned and spread": lambda h, mask: (
        (h @ h.transpose(1, 2) + mask.t().t().expand(2, 5, 5)).softmax(-1) @ h
    ),
}


class Masked(nn.Module):
    def __init__(self, mix: str = "added") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix, self.a, self.b = mix, nn.Linear(6, 16), nn.Linear(16, 4)
        self.turned = nn.Parameter(torch.randn(4, 4))
        self.register_buffer("mask", torch.full((5, 5), float("-inf")).triu(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(MIXES[self.mix](self.a(x), self.mask)) @ self.turned.t()


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("score", ["auto", "l2"])
def test_a_mask_of_minus_infinity_is_no_broken_weight(mix: str, score: str) -> None:
    model = Masked(mix).eval()
    small = pp.prune(model, X, budget="macs=0.7", score=score).model
    assert small.a.out_features < 16
    assert torch.equal(small.mask, model.mask)
    assert torch.isfinite(small(X)).all()


@pytest.mark.parametrize("name", ["a.weight", "a.bias", "b.weight", "turned", "mask"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_broken_weight_is_refused_by_name(name: str, value: float) -> None:
    model = Masked().eval()
    with torch.no_grad():
        model.state_dict()[name].view(-1)[1] = value
    if name == "mask" and value == -np.inf:
        pp.prune(model, X, budget="macs=0.7", score="l2")
        return
    with pytest.raises(pp.ModelError, match=f"weight '{name}' holds NaN or infinite"):
        pp.prune(model, X, budget="macs=0.7", score="l2")
