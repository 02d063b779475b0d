"""What is demanded of the next plan when the module's code contradicts one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunepass.hosts.torch import ReplayMismatch, capture, constrain, export, replay_module
from prunepass.hosts.torch._mismatch import Remedy
from prunepass.ir import Tie, UnsupportedError
from prunepass.passes import couple
from tests.hosts.torch.nets import Contrary, Literal
from tests.hosts.torch.trials import assert_computes, count, cut_module, double, random_cut


def mismatch_of(model: nn.Module, inputs: torch.Tensor, seed: int = 0) -> tuple[object, ReplayMismatch]:
    before = capture(export(model, inputs), form="module")
    with pytest.raises(ReplayMismatch) as caught:
        replay_module(model, before, random_cut(before, seed), inputs)
    return before, caught.value


def test_the_first_remedy_that_is_new_is_taken_and_none_gives_the_graph_back() -> None:
    graph = capture(export(Literal(), torch.randn(3, 6)))
    tie = Tie(("a.weight", 1), ("b.weight", 0), "why")
    mismatch = ReplayMismatch("no", remedies=(Remedy(ties=(tie,)), Remedy(pins=(("a.weight", 0, "why"),))))
    tied = constrain(graph, mismatch)
    assert tied.ties == (tie,)
    pinned = constrain(tied, mismatch)
    assert pinned.pins == (("a.weight", 0, "why"),)
    assert pinned.ties == (), "pins of a place supersede its ties"
    assert constrain(graph, ReplayMismatch("no")) is graph
    assert constrain(graph, UnsupportedError("no")) is graph


def test_a_literal_is_pinned_at_once_with_its_line() -> None:
    before, mismatch = mismatch_of(Literal().eval(), torch.randn(3, 6))
    assert not any(remedy.ties for remedy in mismatch.remedies)
    graph = constrain(before, mismatch)
    assert all("nets.py:" in reason for _, _, reason in graph.pins)
    assert not couple(graph).prunable


def test_one_attribute_for_two_sizes_makes_them_equal() -> None:
    model, inputs = double((Contrary(), torch.randn(3, 5)))
    small, after, attempts = cut_module(model, inputs)
    assert attempts == 2
    assert small.size < 8
    assert_computes(small, inputs, after)


class Windowed(nn.Module):
    """Takes the size of a head from the width of the stream, in a helper function, as Swin does."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return attend(x, self.qkv, self.proj, self.num_heads)


def attend(x: torch.Tensor, qkv: nn.Module, proj: nn.Module, num_heads: int) -> torch.Tensor:
    batch, tokens, width = x.shape
    y = qkv(x).reshape(batch, tokens, 3, num_heads, width // num_heads).permute(2, 0, 3, 1, 4)
    q, k, v = y[0], y[1], y[2]
    q = q * (width // num_heads) ** -0.5
    weights = torch.softmax(q.matmul(k.transpose(-2, -1)), dim=-1)
    return proj(weights.matmul(v).transpose(1, 2).reshape(batch, tokens, width))


class Stream(nn.Module):
    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(5, 24), nn.Linear(24, 3)
        self.layers = nn.ModuleList(Windowed(24, 6) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


def test_heads_stay_cuttable_where_the_width_is_divided_by_their_number() -> None:
    model, inputs = double((Stream(), torch.randn(2, 7, 5)))
    small, after, attempts = cut_module(model, inputs)
    assert attempts <= 4, "one remedy serves all layers"
    assert [layer.num_heads for layer in small.layers] == [small.layers[0].num_heads] * 3
    assert small.layers[0].num_heads < 6
    assert small.stem.out_features == 4 * small.layers[0].num_heads
    assert_computes(small, inputs, after)


class Chunks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.inner, self.b = nn.Linear(5, 16), nn.Linear(8, 8), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two = self.a(x).chunk(2, dim=-1)
        return self.b(torch.cat([one, self.inner(two).relu()], dim=-1))


def test_halves_of_a_chunk_are_cut_alike() -> None:
    model, inputs = double((nn.Sequential(Chunks(), nn.Linear(3, 5), Chunks()), torch.randn(4, 5)))
    small, after, attempts = cut_module(model, inputs, seed=1)
    assert attempts == 2, "one remedy serves every module that runs the line"
    assert count(small) < count(model)
    assert_computes(small, inputs, after)


class Half(nn.Module):
    """Of equal parts one is read, as the mean of a distribution is."""

    def __init__(self) -> None:
        super().__init__()
        self.moments, self.last = nn.Conv1d(3, 12, 1), nn.Conv1d(6, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, _ = self.moments(x).chunk(2, dim=1)
        return self.last(mean)


def test_a_part_that_nothing_reads_is_cut_with_the_one_that_is_read() -> None:
    model, inputs = double((Half(), torch.randn(2, 3, 5)))
    small, after, attempts = cut_module(model, inputs, seed=1)
    assert attempts == 2
    assert small.last.in_channels * 2 == small.moments.out_channels < 12
    assert_computes(small, inputs, after)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.out = nn.Linear(5, 12), nn.Linear(5, 12), nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k = self.q(x).tanh(), self.k(x).tanh()  # no weight takes a factor up behind a bound
        return self.out((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5)


def test_a_scale_computed_from_a_size_pins_what_is_summed_and_nothing_else() -> None:
    before, mismatch = mismatch_of(Scaled().double(), torch.randn(2, 7, 5).double())
    graph = constrain(before, mismatch)
    assert {name for name, _, _ in graph.pins} <= {"tanh", "tanh_1", "transpose", "permute"}
    assert not couple(graph).prunable
