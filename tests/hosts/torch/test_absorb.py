"""Numbers that a forward computes from a width: made good in the layer in front, or planned around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import prunepass as pp

X = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))

Scale = Callable[[torch.Tensor], torch.Tensor]


def attend(h: torch.Tensor) -> torch.Tensor:
    """Fused attention whose scale torch takes from the width."""
    return functional.scaled_dot_product_attention(h, h.flip(1), h.flip(0))


SCALES: dict[str, Scale] = {
    "divided by a root": lambda h: h / torch.tensor(h.size(-1), dtype=torch.float).sqrt(),
    "divided by a number": lambda h: h / h.size(-1) ** 0.5,
    "times a number": lambda h: h * (1.0 / h.size(-1)),
    "times a constant": lambda h: torch.tensor(1.0 / h.size(-1)) * h,
}
# What stands between the layer and the scale.
BETWEEN: dict[str, Scale] = {
    "nothing": lambda h: h,
    "a rectifier": torch.relu,
    "views": lambda h: h.transpose(1, 2).reshape(2, -1, 5).transpose(1, 2),
}


class Scaled(nn.Module):
    def __init__(self, scale: Scale, between: Scale, first: nn.Module) -> None:
        super().__init__()
        self._scale, self._between = scale, between
        self.first, self.wide, self.last = first, nn.Linear(6, 32), nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self._scale(self._between(self.first(x)))
        return self.last(torch.cat([h, self.wide(x).relu()], -1))


class Normed(nn.Module):
    """A normalisation makes what is scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 16), nn.BatchNorm1d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x))


def hold(model: nn.Module, monkeypatch: pytest.MonkeyPatch, exports: int) -> Any:
    """Prune in at most so many captures; the module computes what the graph of the same plan does."""
    seen: list[int] = []
    once = torch.export.export

    def counted(*args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return once(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.export, "export", counted)
        found = pp.prune(model, X, budget="macs=0.7", score="l2", mode="uniform", compensate=False)
    assert len(seen) <= exports
    assert all(size.what != "not saved" for size in found.report.unchanged), "parameters are in the state"
    as_graph = pp.apply(found.plan, model, X, form="graph")
    torch.testing.assert_close(found.model(X), as_graph(X), rtol=1e-5, atol=1e-6)
    pp.verify(model, found.model, found.plan, X)
    return found


@pytest.mark.parametrize(
    ("scale", "between"),
    [
        *((scale, "a rectifier") for scale in SCALES),
        *(("divided by a number", between) for between in BETWEEN),
    ],
)
def test_a_scale_from_the_width_goes_into_the_layer_in_front(
    scale: str, between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = Scaled(SCALES[scale], BETWEEN[between], nn.Linear(6, 16)).eval()
    found = hold(model, monkeypatch, 2)
    assert found.model.first.out_features < 16
    assert not found.plan.pins
    assert not found.plan.ties


@pytest.mark.parametrize("first", [Normed, lambda: nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16))])
def test_a_normalisation_takes_it_up(first: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    hold(Scaled(SCALES["divided by a number"], torch.relu, first()).eval(), monkeypatch, 2)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (
            nn.Linear(6, 16),
            nn.Linear(6, 16),
            nn.Linear(6, 16),
            nn.Linear(16, 6),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = (layer(x).view(2, 5, 2, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.o(functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 5, -1))


def test_the_scale_that_attention_takes_from_its_heads_goes_into_the_queries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    found = hold(nn.Sequential(Attention(), Attention()).eval(), monkeypatch, 4)
    assert all(each.q.out_features < 16 for each in found.model)


class Relative(nn.Module):
    """Scores of contents and of positions: each projection is in two of the products, and all are scaled."""

    def __init__(self, shared: bool, *, bounded: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (
            nn.Linear(6, 16),
            nn.Linear(6, 16),
            nn.Linear(6, 16),
            nn.Linear(16, 6),
        )
        self.of_q, self.of_k = (self.q, self.k) if shared else (nn.Linear(6, 16), nn.Linear(6, 16))
        self.places = nn.Parameter(torch.randn(5, 6))
        self.bounded = bounded

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        rows, columns = self.of_q(self.places), self.of_k(self.places)
        scores = q @ (k.transpose(1, 2) / torch.tensor(q.size(-1)).sqrt())
        scores = scores + (q @ columns.T).flip(2) / columns.size(-1) ** 0.5
        scores = scores + (k @ rows.T).transpose(1, 2) / rows.size(-1) ** 0.5
        if self.bounded:
            scores = scores + q.tanh() @ k.tanh().transpose(1, 2)
        return self.o(scores.softmax(-1) @ v)


@pytest.mark.parametrize("shared", [False, True])
def test_factors_of_several_layers_are_found_together(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    found = hold(Relative(shared).eval(), monkeypatch, 2)
    assert found.model.q.out_features == found.model.of_k.out_features < 16
    assert not found.plan.pins
    assert not found.plan.ties


def test_factors_that_contradict_each_other_are_planned_around(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    found = hold(Relative(False, bounded=True).eval(), monkeypatch, 8)
    assert found.plan.pins


class Weighted(nn.Module):
    """A normalisation written by hand, and a scale behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.weight, self.last = nn.Linear(6, 16), nn.Parameter(torch.rand(16)), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h = self.weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6))
        return self.last(h * h.size(-1) ** -0.5)


def test_any_parameter_that_multiplies_takes_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    found = hold(Weighted().eval(), monkeypatch, 2)
    assert len(found.model.weight) < 16
    assert not found.plan.pins


class Buffered(nn.Module):
    """What multiplies is a table and is not learned."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(48, 3)
        self.wide = nn.Linear(6, 32)
        self.register_buffer("table", torch.rand(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x).tanh() * self.table
        return self.last(torch.cat([h / h.size(-1), self.wide(x).relu()], -1))


class Twice(nn.Module):
    """Others read what the scale reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.wide, self.last = nn.Linear(6, 16), nn.Linear(6, 32), nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        return self.last(torch.cat([h.tanh() + h / h.size(-1), self.wide(x).relu()], -1))


@pytest.mark.parametrize(
    "make",
    [
        Twice,
        Buffered,
        lambda: Scaled(SCALES["divided by a number"], lambda h: h.clamp(-8, 8), nn.Linear(6, 16)),
        lambda: Scaled(
            SCALES["divided by a number"], lambda h: torch.where(h.flip(1) > 2, 1.0, h), nn.Linear(6, 16)
        ),
        lambda: Scaled(SCALES["divided by a number"], functional.gelu, nn.Linear(6, 16)),
        lambda: Scaled(lambda h: h + 1 / h.size(-1), torch.relu, nn.Linear(6, 16)),
        lambda: Scaled(attend, torch.relu, nn.Linear(6, 16)),
    ],
)
def test_what_no_layer_can_take_up_is_planned_around(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    found = hold(make().eval(), monkeypatch, 8)
    assert found.model.first.out_features == 16
    assert found.plan.pins
