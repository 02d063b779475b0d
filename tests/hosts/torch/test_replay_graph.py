"""Replay onto the captured graph."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.export import Dim
from torch.nn import functional

from prunepass.hosts.torch import capture, export, replay_graph, run
from prunepass.ir import evaluate
from tests.hosts.torch.nets import Cache, Choice, Heads, Literal, Outputs, Shared, TwoConvs, Undeclared
from tests.hosts.torch.trials import assert_computes, count, cut_graph, double, random_cut


def test_a_literal_size_is_rewritten() -> None:
    model, inputs = double((Literal(), torch.randn(3, 6)))
    small, after = cut_graph(model, inputs)
    assert isinstance(small, fx.GraphModule)
    assert count(small) < count(model)
    assert_computes(small, inputs, after, export(model, inputs))


def test_the_result_shares_nothing_and_can_be_trained() -> None:
    model = TwoConvs().eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    small, _ = cut_graph(model, torch.randn(2, 3, 5, 5))
    small.train()
    optimizer = torch.optim.SGD(small.parameters(), lr=0.5)
    small(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    assert all(parameter.grad is not None for parameter in small.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_names_ties_and_kinds_of_state_stay() -> None:
    model = Shared()
    model.twice.bias.requires_grad_(False)
    small, after = cut_graph(model, torch.arange(6).reshape(2, 3))
    assert set(small.state_dict()) == set(export(model, torch.arange(6).reshape(2, 3)).state_dict())
    assert small.get_parameter("head.weight") is small.get_parameter("embed.weight")
    assert small.get_parameter("embed.weight").shape == after.params["embed.weight"].shape
    assert "gain" not in small.state_dict()
    assert not small.get_parameter("twice.bias").requires_grad


def test_it_is_called_like_the_original() -> None:
    given = ((torch.randn(2, 4),), {"extra": torch.randn(3)})
    small, _ = cut_graph(Outputs(), given)
    made = small(given[0][0], extra=given[1]["extra"])
    assert set(made) == {"y", "all", "none", "number"}
    assert made["none"] is None
    assert made["number"] == 3


def test_the_default_scale_of_attention_is_written_out() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(6, 24), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(x).view(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    model, inputs = double((Attention(), torch.randn(2, 5, 6)))
    small, after = cut_graph(model, inputs)
    assert after.params["qkv.weight"].shape[0] < 24
    assert_computes(small, inputs, after)


def test_parts_of_a_split_may_become_unequal() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 16), nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, two = self.a(x).split(8, dim=-1)
            return self.b(one) + self.c(two)

    model, inputs = double((Halves(), torch.randn(3, 4)))
    small, after = cut_graph(model, inputs, seed=2)
    assert after.params["b.weight"].shape != after.params["c.weight"].shape
    assert_computes(small, inputs, after)


def test_constants_that_a_cut_makes_smaller_are_written_out() -> None:
    class Ramp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x) * torch.arange(8))

    model, inputs = double((Ramp(), torch.randn(3, 4)))
    small, after = cut_graph(model, inputs)
    assert after.params["a.weight"].shape[0] < 8
    assert_computes(small, inputs, after)


def test_a_dynamic_batch_stays_dynamic() -> None:
    class Folded(nn.Module):
        """Heads folded into the batch: one symbolic number for two sizes."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x).view(x.shape[0], 5, 4, 3).transpose(1, 2).reshape(x.shape[0] * 4, 5, 3)
            y = torch.softmax(y, dim=1).view(x.shape[0], 4, 5, 3).transpose(1, 2)
            return self.b(y.reshape(x.shape[0], 5, 12))

    model = Folded().double().eval()
    x = torch.randn(3, 5, 6).double()
    program = torch.export.export(model, (x,), dynamic_shapes=({0: Dim("batch", min=2)},))
    module = export(program)
    before = capture(module)
    after = random_cut(before, seed=1)
    small = replay_graph(module, before, after)
    assert after.params["b.weight"].shape[1] < 12
    wide = torch.cat([x, x[:2]])
    torch.testing.assert_close(
        small(wide)[:3], torch.from_numpy(evaluate(after, {"x": x.numpy()})[after.outputs[0]])
    )
    assert small(wide).shape == (5, 5, 2)


class Recurrent(nn.Module):
    """Starts from a state of zeros of the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.LSTM(6, 12, batch_first=True), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x)[0])


class Placed(nn.Module):
    """Joins a table of constants, once for every example, to its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(14, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = torch.arange(10, dtype=x.dtype).reshape(1, 5, 2).expand(x.shape[0], -1, -1)
        return self.b(torch.cat([self.a(x), table], 2))


class Shifted(nn.Module):
    """Cuts off and pads in one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(functional.pad(self.a(x), (0, 0, 1, -1)))


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("model", [Recurrent(), Placed(), Shifted()], ids=["state", "table", "shift"])
def test_what_is_made_of_a_dynamic_batch_stays_dynamic(model: nn.Module) -> None:
    model, x = double((model.eval(), torch.randn(3, 5, 6)))
    module = export(torch.export.export(model, (x,), dynamic_shapes=({0: Dim("batch", min=2)},)))
    small, after = cut_graph(model, x, seed=1, module=module)
    assert count(small) < count(model)
    assert_computes(small, x, after, module)
    torch.testing.assert_close(small(torch.cat([x, x[:2]]))[:3], small(x))


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (nn.Sequential(nn.Linear(4, 8), Cache(8), nn.Linear(6, 2)), torch.randn(2, 4)),
        (nn.Sequential(nn.Linear(4, 8), Choice(8), nn.Linear(2, 3)), torch.randn(2, 4)),
        (nn.Sequential(nn.Linear(4, 8), Undeclared(8), nn.Linear(2, 3)), torch.randn(2, 4)),
    ],
    ids=["write", "branch", "undeclared"],
)
def test_what_is_foreign_stays_and_the_rest_is_cut(model: nn.Module, inputs: torch.Tensor) -> None:
    model, inputs = double((model, inputs))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    module = export(model, inputs)
    small, after = cut_graph(model, inputs)
    assert count(small) < count(model)
    assert_computes(small, inputs, after, module)
    model.load_state_dict(state)


def test_what_is_foreign_need_not_run_on_symbolic_sizes() -> None:
    class Product(nn.Module):
        """Two layers that meet in an operator which torch has no symbolic form of."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 5)
            self.meet, self.c = nn.Bilinear(5, 6, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(self.meet(self.b(self.a(x)), x))

    model, x = Product().double().eval(), torch.randn(3, 6).double()
    module = export(torch.export.export(model, (x,), dynamic_shapes=({0: Dim("batch", min=2)},)))
    small, after = cut_graph(model, x, module=module)
    assert after.params["a.weight"].shape[0] < 12
    assert_computes(small, x, after, module)
    assert small(torch.cat([x, x])).shape == (6, 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_second_cut_of_a_cut_graph(seed: int) -> None:
    model, inputs = double((Heads(), torch.randn(2, 5, 12)))
    once, _ = cut_graph(model, inputs, seed)
    twice, after = cut_graph(once, inputs, seed + 1)
    assert count(twice) < count(once) < count(model)
    assert_computes(twice, inputs, after)
    assert len(run(twice, inputs)) == 1
