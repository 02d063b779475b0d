"""Sizes that modules and configurations declare follow a cut; what only equals one stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import prunepass as pp
from prunepass.hosts.torch._check import check_model
from tests.hosts.torch.trials import cut_module

IMAGE = torch.randn(2, 3, 6, 6)
TABLE = torch.randn(3, 5)


def cut(model: nn.Module, inputs: Any, seed: int = 0) -> nn.Module:
    return cut_module(model.eval(), inputs, seed)[0]


# Modules.


class Branches(nn.Module):
    """Three ways that become one convolution, by sizes kept in attributes."""

    def __init__(self, here: int, there: int, stride: int = 1) -> None:
        super().__init__()
        self.here, self.there, self.stride = here, there, stride
        self.wide = nn.Sequential(nn.Conv2d(here, there, 3, stride, 1, bias=False), nn.BatchNorm2d(there))
        self.thin = nn.Conv2d(here, there, 1, stride)
        self.same = nn.BatchNorm2d(here) if here == there and stride == 1 else None
        self.merged: nn.Module | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.merged is not None:
            return torch.relu(self.merged(x))
        y = self.wide(x) + self.thin(x)
        return torch.relu(y if self.same is None else y + self.same(x))

    def deploy(self) -> None:
        kernel, bias = _folded(self.wide[0].weight, self.wide[1])
        kernel = kernel + nn.functional.pad(self.thin.weight, [1] * 4)
        assert self.thin.bias is not None
        bias = bias + self.thin.bias
        if self.same is not None:
            unit = torch.zeros(self.here, self.here, 3, 3)
            unit[range(self.here), range(self.here), 1, 1] = 1
            more = _folded(unit, self.same)
            kernel, bias = kernel + more[0], bias + more[1]
        merged = nn.Conv2d(self.here, self.there, 3, self.stride, 1)
        merged.weight.data, merged.bias.data = kernel.detach(), bias.detach()  # type: ignore[union-attr]
        self.merged = merged


def _folded(kernel: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return kernel * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale


@pytest.mark.parametrize("seed", range(3))
def test_what_another_method_builds_layers_with_follows(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        Branches(3, 12, 2), Branches(12, 12), Branches(12, 16, 2), nn.Flatten(), nn.Linear(64, 4)
    )
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.running_mean)
    small = cut(model, IMAGE, seed)
    wanted = small(IMAGE)
    for block in small[:3]:
        assert (block.here, block.there) == (block.thin.in_channels, block.thin.out_channels)
        block.deploy()
    assert small[1].there < 12
    torch.testing.assert_close(small(IMAGE), wanted, rtol=1e-4, atol=1e-5)


class Cell(nn.Module):
    """A recurrent layer; whoever runs it asks for its first state."""

    def __init__(self, inside: int, steps: int) -> None:
        super().__init__()
        self.hidden = 10
        self.steps = steps
        self.gate = nn.Linear(inside, self.hidden)
        self.back = nn.Linear(self.hidden, self.hidden, bias=False)
        self.out = nn.Linear(self.hidden, 2)

    def init_hidden(self, batch: int) -> torch.Tensor:
        return torch.zeros(batch, self.hidden)

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(self.hidden**-0.5), self.hidden**-0.5)

    def history(self) -> list[None]:
        return [None] * self.steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.tanh(self.gate(x))
        return self.out(torch.tanh(self.gate(x) + self.back(state)))


def test_a_number_of_its_own_follows_the_layers_that_are_built_with_it() -> None:
    small = cut(Cell(5, 10), TABLE, seed=1)
    assert small.hidden == small.gate.out_features < 10
    assert small.steps == 10  # as many, and something else
    assert small.init_hidden(3).shape == (3, small.gate.out_features)
    small.reset_parameters()


class Lined(nn.Module):
    """Says its width, and keeps tables of it."""

    def __init__(self, width: int, times: int = 2, limit: int | None = None) -> None:
        super().__init__()
        hidden = int(width * times)
        self.width, self.hidden = width, hidden
        self.limit = limit or width
        self.sizes = [width, hidden, 2]
        self.table = nn.Parameter(torch.ones(1, width))
        self.layers = nn.ModuleList()
        for _ in range(2):
            self.layers.append(nn.Linear(width, width))
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.table
        for layer in self.layers:
            x = x + layer(x)
        return self.down(self.up(x).relu())

    def extra_repr(self) -> str:
        return f"{self.width}, {self.hidden}"


def test_products_rows_and_lists_of_layers_follow() -> None:
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), Lined(12))
    small = cut(model, TABLE)[2]
    width, hidden = small.up.in_features, small.up.out_features
    assert width < 12
    assert hidden < 24
    assert (small.width, small.hidden, small.sizes) == (width, hidden, [width, hidden, 2])
    assert repr(small).startswith(f"Lined(\n  {width}, {hidden}")


class Unlike(nn.Module):
    """Two layers of one number, cut independently; and numbers that are no sizes."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.width, self.window, self.classes = width, window, 12
        self.a, self.b = nn.Linear(5, width), nn.Linear(5, width)
        self.c, self.d = nn.Linear(width, 2), nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(self.a(x).relu()) + self.d(self.b(x).tanh())

    def again(self) -> nn.Module:
        return Unlike(self.width, self.window)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        return x / self.classes


def test_what_is_not_determined_stays_and_is_listed() -> None:
    torch.manual_seed(0)
    model = Unlike(12, 12)
    result = pp.prune(model, TABLE, budget="params=0.5", score="l1", compensate=False)
    small = result.model
    assert small.a.out_features != small.b.out_features
    assert (small.width, small.window, small.classes) == (12, 12, 12)
    listed = {size.place: size.why for size in result.report.unchanged}
    assert set(listed) == {"width", "window", "classes"}
    assert str(small.a.out_features) in listed["width"]
    assert "not changed: width = 12 (" in result.report.to_markdown()
    assert '"place": "width"' in result.report.to_json()


def test_nothing_is_listed_where_everything_follows() -> None:
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), Lined(12, limit=12))
    assert not pp.prune(model, TABLE, budget="params=0.5", score="l1").report.unchanged


class Bounded(nn.Module):
    """Built with the number that it takes at most as many rows of."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.longest = self.other = size
        self.a, self.b = nn.Linear(5, size), nn.Linear(size, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, : self.longest] if x.shape[1] < 99 else x[:, : self.most()]
        return self.b(self.a(x).relu())

    def most(self) -> int:
        return min(self.other, 99)


def test_the_end_of_a_slice_in_forward_stays_whatever_it_is_built_with() -> None:
    small = cut(Bounded(12), torch.randn(1, 3, 5))
    assert small.a.out_features < 12
    assert (small.longest, small.other) == (12, 12)


class Either(nn.Module):
    """Builds one of two layers, and insists on its size."""

    def __init__(self, size: int, linear: bool) -> None:
        super().__init__()
        self.size = size
        if linear:
            layer: nn.Module = nn.Linear(self.size, 4)
        else:
            layer = nn.LayerNorm(self.size)
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[-1] == self.size
        return self.layer(x)


def test_a_size_that_forward_insists_on_follows_with_one_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = 0

    def counted(*args: Any) -> None:
        nonlocal checks
        checks += 1
        check_model(*args)

    monkeypatch.setattr("prunepass.hosts.torch._replay_module.check_model", counted)
    small = cut(nn.Sequential(nn.Linear(5, 12), nn.ReLU(), Either(12, True)), TABLE)
    assert small[2].size == small[0].out_features < 12
    assert checks == 1


class Needed(nn.Module):
    """Takes as many rows as it has columns inside, whatever becomes of those."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.a, self.b = nn.Linear(5, size), nn.Linear(size, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == self.size
        return self.b(self.a(x).relu())


def test_what_forward_needs_as_it_was_stays_and_is_listed() -> None:
    result = pp.prune(Needed(12).eval(), torch.randn(2, 12, 5), budget="params=0.5", score="l1")
    assert result.model.a.out_features < result.model.size == 12
    assert [size.place for size in result.report.unchanged] == ["size"]


class Grown(nn.Module):
    """Calls a method, takes branches, and is built by a function and by a subclass of a layer."""

    def __init__(self, width: int, *, deep: bool = True, hidden: int | None = None) -> None:
        super().__init__()
        if hidden is None:
            hidden = 2 * width
        self._build(width, hidden)
        if deep:
            self.more: nn.Module = _layer(hidden, hidden)
        else:
            self.more = nn.Identity()
        self.hidden_size = hidden

    def _build(self, width: int, hidden: int) -> None:
        self.inside = width
        self.up, self.down = (
            Scaled(width, hidden),
            nn.utils.parametrizations.weight_norm(nn.Linear(hidden, 2)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.more(self.up(x).relu()).relu() + self.up(x))


class Scaled(nn.Linear):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)
        self.rows = two
        self.register_buffer("scale", torch.ones(two))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.scale


def _layer(one: int, two: int) -> nn.Module:
    return nn.Linear(one, two)


@pytest.mark.parametrize("hidden", [None, 9])
def test_branches_methods_functions_and_subclasses_are_seen_through(hidden: int | None) -> None:
    small = cut(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), Grown(8, hidden=hidden)), TABLE)[2]
    assert small.inside == small.up.in_features < 8
    assert small.hidden_size == small.up.rows == small.up.out_features < (hidden or 16)


# Numbers of one value and several meanings.


class Meanings(nn.Module):
    def __init__(self, width: int, inner: int, steps: int, classes: int) -> None:
        super().__init__()
        self.width, self.inner, self.steps, self.classes = width, inner, steps, classes
        self.half = width // 2
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.head = nn.Linear(width, classes)
        self.register_buffer("clock", torch.arange(float(steps)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.down(self.up(x).relu()))

    def note(self) -> tuple[int, ...]:
        return self.width, self.inner, self.steps, self.classes, self.half


@settings(max_examples=6)
@given(st.lists(st.sampled_from([4, 6, 8, 12]), min_size=4, max_size=4), st.integers(0, 5))
def test_each_number_follows_its_own_meaning(sizes: list[int], seed: int) -> None:
    model = nn.Sequential(nn.Linear(5, sizes[0]), nn.ReLU(), Meanings(*sizes))
    small = cut(model, TABLE, seed)[2]
    assert small.width == small.up.in_features
    assert small.inner == small.up.out_features
    assert (small.steps, small.classes) == (sizes[2], sizes[3]) == (len(small.clock), small.head.out_features)
    assert small.half == small.width // 2
