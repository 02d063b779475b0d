"""Sizes are followed from the numbers that a model keeps to the calls that they arrive in."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from prunepass.hosts.torch import capture, export
from prunepass.hosts.torch._trace import Trace, tracing
from prunepass.hosts.torch._tracked import Attribute, Comparison, Result, Tracked, Watcher, text_of, value_of
from prunepass.ir import UsageError
from tests.hosts.torch.trials import assert_computes, cut_module, double


def tracked(value: int, name: str, watcher: Watcher | None = None) -> Tracked:
    return Tracked(value, Attribute("", (), name, None, value), watcher or Watcher([]))


NUMBERS = st.integers(1, 60)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_is_that_of_numbers_and_can_be_done_again(a: int, b: int, c: int, d: int) -> None:
    def formula(x: Any, y: Any) -> Any:
        return (x * 3 + y) // 2 - (7 - x) % (y + 1) + 5 * y // x

    made = formula(tracked(a, "x"), tracked(b, "y"))
    assert isinstance(made, Tracked)
    assert made == formula(a, b)
    assert value_of(made.expression, lambda one: {"x": c, "y": d}[one.name]) == formula(c, d)  # type: ignore[union-attr]


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}


@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(list(COMPARED)))
def test_comparisons_are_noted_and_can_be_asked_again(a: int, b: int, c: int, sign: str) -> None:
    noted: list[Comparison] = []
    held = COMPARED[sign](tracked(a, "x", Watcher(noted)), b)
    assert held is COMPARED[sign](a, b)
    assert [(one.sign, one.held) for one in noted] == [(sign, held)]
    assert noted[0].holds(lambda _: c) is COMPARED[sign](c, b)


def test_a_tracked_number_is_stored_as_a_plain_one() -> None:
    number = tracked(5, "x")
    assert all(type(one) is int for one in (copy.copy(number), copy.deepcopy(number), int(number)))
    assert type(pickle.loads(pickle.dumps(number))) is int
    assert {5: "five"}[number] == "five"


WIDTH, HEADS, DIM = 12, 6, 4


class Attention(nn.Module):
    """Heads and their size reach the calls by the way that a subclass takes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.dim = HEADS, DIM
        # Numbers of another meaning that equal them.
        self.limit, self.other = 6, 4
        self.row, self.config = [HEADS, DIM], SimpleNamespace(heads=HEADS, dim=DIM, longest=6)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * HEADS * DIM), nn.Linear(HEADS * DIM, WIDTH)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1], 3, self.heads, self.dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(self.qkv(x[:, : self.limit])).permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v, scale=0.5)
        return self.out(y.transpose(1, 2).reshape(x.shape[0], y.shape[2], -1))


class Local(Attention):
    def split(self, x: torch.Tensor) -> torch.Tensor:
        shape = (*x.shape[:-1], 3, -1, self.dim)
        return x.view(shape)


class Helper(Attention):
    def split(self, x: torch.Tensor) -> torch.Tensor:
        return elsewhere(self, x)


def elsewhere(module: Any, x: torch.Tensor) -> torch.Tensor:
    batch, count, _ = x.size()
    return torch.reshape(x, [batch, count, 3, getattr(module, "heads"), module.dim])  # noqa: B009


class Row(Attention):
    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (3, *self.row))


class Computed(Attention):
    def split(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.heads * self.dim
        q, k, v = x[..., :whole], x[..., whole : 2 * whole], x[..., 2 * whole :]
        return torch.stack([one.view(*one.shape[:2], whole // self.dim, self.dim) for one in (q, k, v)], 2)


class Configured(Attention):
    def split(self, x: torch.Tensor) -> torch.Tensor:
        config = self.config
        return x.view(x.size(0), -1, 3, config.heads, config.dim)


KINDS = {
    Attention: ("heads", "dim"),
    Local: ("dim",),
    Helper: ("heads", "dim"),
    Row: ("row[0]", "row[1]"),
    Computed: ("heads", "dim"),
    Configured: ("config.heads", "config.dim"),
}


def numbers(module: Any) -> dict[str, Any]:
    return {
        "heads": module.heads,
        "dim": module.dim,
        "limit": module.limit,
        "other": module.other,
        "row[0]": module.row[0],
        "row[1]": module.row[1],
        **{f"config.{name}": value for name, value in vars(module.config).items()},
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_numbers_follow_whatever_way_they_take_and_equal_ones_stay(kind: type[nn.Module], seed: int) -> None:
    net = nn.Sequential(nn.Linear(5, WIDTH), kind(), nn.Linear(WIDTH, 3))
    model, inputs = double((net, torch.randn(2, 3, 5)))
    before = numbers(model[1])
    small, after, attempts = cut_module(model, inputs, seed=seed)
    assert attempts == 1
    dim = small[1].out.in_features
    after_cut = numbers(small[1])
    assert dim < HEADS * DIM
    assert any(after_cut[name] != before[name] for name in KINDS[kind])
    assert all(after_cut[name] == before[name] for name in ("limit", "other", "config.longest"))
    assert numbers(model[1]) == before, "the user's own objects stay"
    assert_computes(small, inputs, after)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_trace_puts_in_place_is_gone_afterwards(kind: type[nn.Module]) -> None:
    class Remembering(kind):  # type: ignore[valid-type, misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen, self.sizes = x.shape[1], (self.heads, x.shape[0])
            return super().forward(x)

    model, trace = Remembering(), Trace()
    with tracing(model, trace):
        model(torch.randn(2, 3, WIDTH))
    assert trace.rows
    kept = [*vars(model).values(), *model.row, *model.sizes, *vars(model.config).values()]
    assert not any(isinstance(value, Tracked) for value in kept)


def test_a_trace_changes_nothing_of_what_is_captured() -> None:
    model, inputs, trace = Computed(), torch.randn(2, 3, WIDTH), Trace()
    plain, traced = capture(export(model, inputs)), capture(export(model, inputs, trace))
    assert [(node.op, node.attrs, node.origin) for node in plain.nodes] == [
        (node.op, node.attrs, node.origin) for node in traced.nodes
    ]
    sizes = [one for node in traced.nodes for value in node.attrs.values() for one in _items(value)]
    assert not any(isinstance(one, Tracked) for one in sizes)


def _items(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value,)


class Asserting(nn.Module):
    """Keeps its width only to assert it, and runs nothing itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels, self.conv = width, nn.Conv2d(width, width, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == self.channels
        return self.conv(x)


def test_a_number_that_is_only_compared_with_a_size_follows_it() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3), Asserting(16), nn.Conv2d(16, 4, 1))
    model, inputs = double((net, torch.randn(1, 3, 9, 9)))
    small, after, attempts = cut_module(model, inputs)
    assert attempts == 1
    assert small[1].channels == small[0].out_channels < 16
    assert_computes(small, inputs, after)


class Repeating(nn.Module):
    """Takes a short way where there is nothing to repeat."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times, self.dim = times, 4
        self.a, self.b, self.out = nn.Linear(4, 8), nn.Linear(4, 8 * times), nn.Linear(8 * times, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x).unflatten(-1, (-1, self.dim))
        if self.times > 1:
            batch, heads, dim = y.shape
            y = y[:, :, None].expand(batch, heads, self.times, dim).reshape(batch, heads * self.times, dim)
        return self.out((y * self.b(x).unflatten(-1, (-1, self.dim))).flatten(1))


def test_a_short_way_that_computes_the_same_is_no_contradiction() -> None:
    model, inputs = double((Repeating(2), torch.randn(3, 4)))
    small, after, attempts = cut_module(model, inputs, seed=2)
    assert (small.times, attempts) == (1, 1)
    assert_computes(small, inputs, after)


def test_an_expression_is_told_as_it_is_written() -> None:
    made = tracked(4, "heads") * 2 + tracked(3, "dim")
    assert isinstance(made.expression, Result)
    assert text_of(made.expression) == "heads * 2 + dim"


@pytest.mark.parametrize("fails", [lambda x: x.nonsense(), lambda x: torch.zeros(2, 4) @ x])
def test_a_model_that_fails_leaves_its_numbers_as_they_were(fails: Callable[[torch.Tensor], Any]) -> None:
    class Failing(Attention):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return fails(x)

    model, trace = Failing(), Trace()
    with pytest.raises(UsageError, match="the model fails on the example inputs"):
        export(model, torch.randn(2, 3, WIDTH), trace)
    assert all(type(value) is int for value in numbers(model).values())
