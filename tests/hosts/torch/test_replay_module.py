"""Replay onto the user's own module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prunepass.hosts.torch import ReplayMismatch, capture, export, replay_module
from prunepass.ir import Graph, UnsupportedError
from prunepass.passes import Select, couple, cut
from tests.hosts.torch.nets import Contrary, Heads, Literal, Shared, Standardised, TwoConvs
from tests.hosts.torch.trials import assert_computes, cut_module, double, random_cut

IMAGE = torch.randn(2, 3, 6, 6)


def both(model: nn.Module, inputs: Any, seed: int = 0) -> tuple[Graph, Graph]:
    before = capture(export(model, inputs), form="module")
    return before, random_cut(before, seed)


def by_hand(before: Graph, keep: list[int]) -> Graph:
    """The hidden channels of TwoConvs cut to ``keep`` without any pass."""
    params, values, nodes = dict(before.params), dict(before.values), list(before.nodes)
    for name, axis in (("a.weight", 0), ("b.weight", 1), *((f"bn.{n}", 0) for n in _BN)):
        data = params[name].read().take(keep, axis)
        params[name] = replace(params[name], shape=data.shape, source=lambda data=data: data)
    for node in nodes[:-1]:
        value = values[node.outputs[0]]
        values[value.name] = replace(value, shape=(value.shape[0], len(keep), *value.shape[2:]))
    return replace(before, params=params, values=values)


_BN = ("weight", "bias", "running_mean", "running_var")


def test_a_cut_made_by_hand_is_replayed() -> None:
    model, inputs = double((TwoConvs().eval(), IMAGE))
    before = capture(export(model, inputs))
    after = by_hand(before, [0, 3, 5])
    small = replay_module(model, before, after, inputs)
    assert isinstance(small, TwoConvs)
    assert (small.a.out_channels, small.bn.num_features, small.b.in_channels) == (3, 3, 3)
    assert torch.equal(small.a.weight, model.a.weight[[0, 3, 5]])
    assert_computes(small, inputs, after)


def test_names_flags_and_kinds_of_state_stay() -> None:
    model = Shared()
    model.twice.bias.requires_grad_(False)
    model.twice.weight.grad = torch.ones(8, 8)
    small, _, _ = cut_module(model, torch.arange(6).reshape(2, 3))
    assert type(small) is Shared
    assert list(small.state_dict()) == list(model.state_dict())
    assert "gain" not in small.state_dict()
    assert small.training
    assert isinstance(small.twice.weight, nn.Parameter)
    assert small.twice.weight.requires_grad
    assert not small.twice.bias.requires_grad
    assert small.twice.weight.grad is None


def test_tied_tensors_stay_tied_and_plain_ones_follow() -> None:
    model = Shared()
    small, after, _ = cut_module(model, torch.arange(6).reshape(2, 3))
    width = after.params["embed.weight"].shape[1]
    assert width < 8
    assert small.head.weight is small.embed.weight
    assert small.offset.shape == small.gain.shape == (width,)
    assert (small.embed.embedding_dim, small.head.in_features) == (width, width)


def test_the_users_module_is_untouched_unless_inplace() -> None:
    model, inputs = double((TwoConvs().eval(), IMAGE))
    state = dict(model.state_dict())
    before, after = both(model, inputs)
    small = replay_module(model, before, after, inputs)
    assert small is not model
    assert model.a.out_channels == 8
    assert all(value.data_ptr() == state[name].data_ptr() for name, value in model.state_dict().items())
    assert replay_module(model, before, after, inputs, inplace=True) is model
    assert model.a.out_channels == after.params["a.weight"].shape[0] < 8


def test_a_failed_replay_in_place_restores_everything() -> None:
    model = Literal().eval()
    inputs = torch.randn(3, 6)
    before, after = both(model, inputs)
    tensors, sizes = dict(model.named_parameters()), (model.a.out_features, model.b.in_features)
    with pytest.raises(ReplayMismatch):
        replay_module(model, before, after, inputs, inplace=True)
    assert all(parameter is tensors[name] for name, parameter in model.named_parameters())
    assert (model.a.out_features, model.b.in_features) == sizes == (16, 16)


def test_the_result_can_be_trained() -> None:
    small, _, _ = cut_module(Heads(), torch.randn(2, 5, 12))
    small(torch.randn(2, 5, 12)).sum().backward()
    assert all(parameter.grad is not None for parameter in small.parameters())


def test_dtypes_without_a_numpy_type_stay() -> None:
    small, _, _ = cut_module(TwoConvs().bfloat16().eval(), IMAGE.bfloat16())
    assert small.a.weight.dtype == torch.bfloat16


def test_sizes_named_in_the_call_follow_and_equal_numbers_stay() -> None:
    model, inputs = double((Heads(), torch.randn(2, 5, 12)))
    small, after, _ = cut_module(model, inputs)
    shape = next(node.attrs["shape"] for node in after.nodes if node.op == "reshape")
    assert (small.heads, small.head_dim) == shape[3:]
    assert small.heads < 4
    assert small.depth == 4
    assert small.scale == 0.5
    assert_computes(small, inputs, after)


class Sizes(nn.Module):
    """Sizes kept as rows of numbers, and by a module that hands them down."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 24), nn.Linear(24, 2)
        self.shape, self.parts = (4, 6), [8, 16]
        self.inner = Inner()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        one, two = y.split(self.parts, dim=-1)
        y = torch.cat([one.relu(), two.tanh()], -1)
        return self.inner(y, self.shape) + self.b(y)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(24, 2)

    def forward(self, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return self.out(x.view(-1, *shape).sin().flatten(1))


def test_rows_of_sizes_and_sizes_of_modules_around_follow() -> None:
    model, inputs = double((Sizes(), torch.randn(3, 4)))
    small, after, attempts = cut_module(model, inputs, seed=3)
    assert attempts == 1
    assert isinstance(small.parts, list)
    assert isinstance(small.shape, tuple)
    assert sum(small.parts) == np.prod(small.shape) == after.params["a.weight"].shape[0] < 24
    assert_computes(small, inputs, after)


class Bounds(nn.Module):
    """Limits that equal the number of channels; one stands beside its size, and nothing shows either."""

    def __init__(self) -> None:
        super().__init__()
        self.longest, self.dim, self.batch = 16, 16, 16
        self.a, self.out = nn.Linear(3, 16), nn.Linear(16, 2)
        self.cap = Cap()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, dim = self.a(x[: self.batch, : self.longest]), self.dim
        return self.out(self.cap(y.reshape(y.shape[0], y.shape[1], dim).sin()))


class Cap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.most = 16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        return flat.view(x.shape)[:, : self.most].cos()


def test_a_limit_that_equals_a_size_by_chance_stays() -> None:
    model, inputs = double((Bounds(), torch.randn(2, 5, 3)))
    small, after, _ = cut_module(model, inputs)
    width = after.params["out.weight"].shape[1]
    assert width < 16
    assert (small.dim, small.longest, small.batch, small.cap.most) == (width, 16, 16, 16)
    assert small(torch.randn(20, 20, 3, dtype=torch.float64)).shape == (16, 16, 2)


class Chance(nn.Module):
    """The row of ``shift`` stands in a shape where three heads follow three parts."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.shift = 3, [3, 3]
        self.qkv, self.out = nn.Linear(6, 36), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads, shift = self.heads, self.shift
        q, k, v = self.qkv(x).reshape(x.size(0), x.size(1), 3, heads, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.out(torch.roll(y.transpose(1, 2).flatten(2), (shift[0], shift[1]), (0, 1)))


def test_a_row_that_stands_in_a_shape_by_chance_stays() -> None:
    model, inputs = double((Chance(), torch.randn(4, 5, 6)))
    small, after, _ = cut_module(model, inputs, seed=1)
    assert (small.heads, small.shift) == (after.params["out.weight"].shape[1] // 4, [3, 3])
    assert small.heads < 3
    assert_computes(small, inputs, after)


LAYERS = [
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8), nn.Conv2d(8, 2, 1)), IMAGE),
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8, affine=False), nn.Conv2d(8, 2, 1)), IMAGE),
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 2, 1)), IMAGE),
    (
        nn.Sequential(nn.ConvTranspose2d(3, 8, 2), nn.ConvTranspose2d(8, 8, 2, groups=4), nn.Conv2d(8, 2, 1)),
        IMAGE,
    ),
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, affine=False), nn.Conv2d(8, 2, 1)), IMAGE),
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.PReLU(8), nn.Conv2d(8, 2, 1)), IMAGE),
    (nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2)), IMAGE),
    (nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 2)), IMAGE),
    (
        nn.Sequential(nn.Linear(6, 8), nn.Unflatten(-1, (2, 4)), nn.Tanh(), nn.Flatten(-2), nn.Linear(8, 2)),
        IMAGE,
    ),
    (
        nn.Sequential(
            nn.Linear(6, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 9)), nn.Linear(9, 2)
        ),
        IMAGE,
    ),
]


@pytest.mark.parametrize(
    ("model", "inputs"), LAYERS, ids=lambda value: str(value)[12:90] if value is not IMAGE else ""
)
def test_sizes_of_layers_follow_their_weights(model: nn.Module, inputs: torch.Tensor) -> None:
    model, inputs = double((model.eval(), inputs))
    small, after, attempts = cut_module(model, inputs, seed=1)
    assert attempts == 1
    assert_computes(small, inputs, after)
    assert repr(small) != repr(model)


def test_attention_of_torch_keeps_its_own_sizes_in_step() -> None:
    layer = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True)
    model, x = double((nn.Sequential(nn.Linear(12, 12), layer, nn.Linear(12, 2)), torch.randn(2, 3, 12)))
    small, after, _ = cut_module(model, x, seed=2)
    attention = small[1].self_attn
    assert attention.embed_dim == attention.num_heads * attention.head_dim < 12
    assert attention.embed_dim == attention.kdim == attention.vdim == attention.out_proj.in_features
    assert_computes(small, x, after)


def test_a_literal_size_is_named_with_its_line() -> None:
    model, inputs = Literal().eval(), torch.randn(3, 6)
    before, after = both(model, inputs)
    with pytest.raises(ReplayMismatch) as caught:
        replay_module(model, before, after, inputs)
    error = caught.value
    assert isinstance(error, UnsupportedError)
    assert error.node == "view"
    assert "size 4 is a literal at nets.py:" in str(error)
    assert 'form="graph"' in error.advice


def test_one_attribute_for_two_sizes_is_named_with_both_lines() -> None:
    model, inputs = Contrary().eval(), torch.randn(3, 5)
    for seed in range(8):
        before, after = both(model, inputs, seed)
        sizes = {node.attrs["shape"][-1] for node in after.nodes if len(node.attrs.get("shape", ())) == 3}
        if len(sizes) > 1:
            break
    with pytest.raises(ReplayMismatch, match="attribute 'size' of Contrary is 8 and would have to become"):
        replay_module(model, before, after, inputs)


class Counts(nn.Module):
    """Computes a number from a size in Python, and adds it: no weight can make good what it becomes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        return self.b(y + y.shape[-1] ** -0.5)


def test_a_constant_computed_from_a_size_is_noticed() -> None:
    model, inputs = Counts(), torch.randn(2, 4)
    before, after = both(model, inputs)
    with pytest.raises(ReplayMismatch, match="constant that the source computes is no longer"):
        replay_module(model, before, after, inputs)


def test_what_cannot_be_copied_is_refused_with_advice() -> None:
    model = TwoConvs().eval()
    before, after = both(model, IMAGE)
    model.lock = (value for value in ())
    with pytest.raises(UnsupportedError, match="cannot be copied") as caught:
        replay_module(model, before, after, IMAGE)
    assert "inplace=True" in caught.value.advice
    assert replay_module(model, before, after, IMAGE, inplace=True) is model


class Branches(nn.Module):
    """Does something else when it is small."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        y = y.relu() if y.shape[-1] == 8 else y.tanh().sin()
        return self.b(y)


def test_code_that_branches_on_a_size_is_noticed_and_kept_whole() -> None:
    model, inputs = Branches().double(), torch.randn(2, 4).double()
    before, after = both(model, inputs)
    with pytest.raises(ReplayMismatch, match=r"asks whether shape\[1\] == 8"):
        replay_module(model, before, after, inputs)
    small, _, attempts = cut_module(model, inputs)
    assert attempts == 2
    assert small.a.out_features == 8


def test_weights_that_are_standardised_are_cut_as_far_as_their_own_code_runs() -> None:
    """torch refuses to compare a single entry with its mean, and the module would be pinned for it."""
    convs = Standardised(3, 8, 1), Standardised(8, 4, 1), Standardised(4, 5, 1)
    model, inputs = double((nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2]).eval(), IMAGE))
    before = capture(export(model, inputs), form="module")
    coupling = couple(before)
    scores = {group.name: np.arange(float(group.size)) for group in coupling.prunable}
    after = cut(before, Select("channels=0.34").plan(coupling, scores))
    small = replay_module(model, before, after, inputs)
    assert [conv.weight.shape[:2] for conv in small[::2]] == [(2, 3), (2, 2), (5, 2)]
    assert_computes(small, inputs, after)
