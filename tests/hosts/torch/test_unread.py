"""What inference does not need (heads that train, dropped results, options, flags) still fits after a prune."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils import _pytree as pytree

import prunepass as pp
from prunepass.passes import couple
from tests.hosts.torch.side import Tower, masked

X = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
HINT = torch.randn(2, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def seeded(build: Any, *args: Any) -> Any:
    """In double precision, where no two weights are equal."""
    torch.manual_seed(0)
    model = build(*args).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1e-3 * torch.rand_like(weight)
    return model


def pruned(model: nn.Module, **options: Any) -> pp.Result:
    return pp.prune(model, X, budget="channels=0.7", score="l2", mode="uniform", compensate=False, **options)


def tensors(made: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(made) if isinstance(leaf, torch.Tensor)]


def assert_same(model: nn.Module, small: nn.Module, *inputs: torch.Tensor) -> None:
    """As the masked model computes it, in the mode that both are in; gradients reach what was made."""
    wanted, got = tensors(masked(model, small)(*inputs)), tensors(small(*inputs))
    assert len(wanted) == len(got)
    for want, found in zip(wanted, got, strict=True):
        torch.testing.assert_close(found, want, rtol=1e-10, atol=1e-10)
    sum(found.square().sum() for found in got).backward()  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(8))
def test_every_mode_of_the_pruned_module_computes_what_the_masked_one_does(seed: int) -> None:
    trains = seed % 2 == 1
    model = seeded(Tower, seed).train(trains)
    result = pruned(model)
    small, hinted = result.model, any(block.kind == "optional" for block in model.blocks)
    assert small.training == model.training == trains
    assert len(result.plan.cuts) >= 1
    assert {name.split(".")[1] for name in result.report.unread} == {
        str(at) for at, block in enumerate(model.blocks) if block.kind in ("optional", "flag")
    }
    for mode in (False, True):  # training changes running statistics
        model.train(mode), small.train(mode)
        assert_same(model, small, X)
        assert_same(model, small, X, HINT) if hinted else None
    for module in (*model.modules(), *small.modules()):
        if hasattr(module, "flag"):
            module.flag = True
    assert_same(model.train(), small.train(), X)


@pytest.mark.parametrize("kind", ["training", "nested", "dropped"])
def test_a_head_is_cut_with_what_it_reads_in_every_form(kind: str) -> None:
    model = seeded(Tower, 3, (kind,)).eval()
    result = pruned(model)
    head = result.model.blocks[0].side
    assert (
        head.conv.in_channels == result.model.blocks[0].conv.out_channels < model.blocks[0].conv.out_channels
    )
    # What the head makes for itself is cut as well.
    assert head.fc.in_features == head.conv.out_channels < model.blocks[0].side.conv.out_channels
    assert not result.report.unread
    pp.verify(model, result.model, result.plan, X)
    again = pp.apply(result.plan, model, X)
    assert_same(model.train(), again.train(), X)
    graph = pruned(model.eval(), form="graph")
    assert graph.plan.cuts == result.plan.cuts
    torch.testing.assert_close(graph.model(X), result.model.eval()(X))


def test_work_is_what_the_outputs_need_and_params_are_all_that_is_cut() -> None:
    model = seeded(Tower, 3, ("training", "dropped"))
    bare = seeded(Tower, 3, ("plain",))
    assert all(
        one.conv.weight.shape == two.conv.weight.shape
        for one, two in zip(model.blocks, bare.blocks, strict=True)
    )
    costs = [pp.analyze(pp.capture(net, X)).cost for net in (model, bare)]
    assert costs[0].macs == costs[1].macs
    sides = [p for block in model.blocks if block.kind != "plain" for p in block.side.parameters()]
    assert costs[0].params - costs[1].params >= sum(p.numel() for p in sides)


class Switched(nn.Module):
    """Functional layers that are told of training; a branch that wants a target; all kinds of state."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.head = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 4, 3), nn.Conv2d(16, 2, 1)
        self.register_buffer("mean", torch.zeros(16))
        self.register_buffer("var", torch.ones(16))
        self.register_buffer("table", torch.ones(16), persistent=False)
        self.scale = nn.Parameter(torch.ones(()))
        self.target, self.noise, self.calls = False, False, 0

    def forward(self, x: torch.Tensor, target: torch.Tensor | None = None) -> Any:
        x = functional.batch_norm(self.first(x), self.mean, self.var, training=self.training)
        x = functional.dropout(torch.relu(x), 0.5, self.training)
        if not self.training:
            return self.last(x)
        self.calls += 1
        side = self.head(torch.poisson(x.abs()) if self.noise else x)
        if self.target:
            assert target is not None, "training needs targets"
            side = side - target
        return self.last(x), side


def test_what_training_makes_random_stands_in_the_way_of_no_cut() -> None:
    model = seeded(Switched)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    result = pruned(model)
    assert result.model.first.out_channels == result.model.head.in_channels < 16
    tensors(result.model(X))[1].sum().backward()
    # Nothing of the capture is left in the user's own object.
    assert model.calls == 0 and all(torch.equal(model.state_dict()[name], state[name]) for name in state)


@pytest.mark.parametrize("habit", ["target", "noise"])
def test_what_nothing_reaches_is_said_and_what_is_as_wide_is_pinned(habit: str) -> None:
    model = seeded(Switched).eval()
    setattr(model, habit, True)
    graph = pp.capture(model, X)
    assert [param.name for param in graph.unread] == ["head.weight", "head.bias"]
    group = couple(graph).group("first")
    assert not group.prunable and "head.weight" in str(group.pins[0])
    with pytest.raises(pp.BudgetError, match="nothing can be pruned"):
        pruned(model)
    model.last = nn.Sequential(nn.Conv2d(16, 12, 1), nn.Conv2d(12, 4, 1)).double()
    report = pruned(model, keep=["head"]).report
    assert report.unread == ("head.weight", "head.bias")
    assert "not reached by the example inputs, left as it is: head;" in report.to_markdown()
    assert '"unread"' in report.to_json()


def test_a_tensor_that_is_read_under_another_name_is_read() -> None:
    model = seeded(Switched)
    model.head = nn.Conv2d(3, 16, 3).double()
    model.head.weight, model.head.bias, model.target = model.first.weight, model.first.bias, True
    assert pp.capture(model, X).unread == ()


class Attends(nn.Module):
    """A branch for training with a tied weight, a table, constants and attention."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.first, self.table = nn.Conv2d(3, 16, 1), nn.Parameter(torch.randn(36, 16))
        for name in names:
            setattr(self, name, nn.Linear(16, 4))
        self.side.weight = self.last.weight

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.first(x)).flatten(2).transpose(1, 2)
        if not self.training:
            return self.last(x)
        x = x + self.table[torch.arange(x.shape[1])]
        later = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        mixed = functional.dropout((x @ x.mT).masked_fill(later, -1e9).softmax(-1) @ x, 0.1)
        return self.last(x), self.side(mixed)


@pytest.mark.parametrize("names", [("side", "last"), ("last", "side")])
def test_a_branch_for_training_shares_weights_and_tables(names: tuple[str, str]) -> None:
    model = seeded(Attends, *names)
    result = pruned(model)
    small, width = result.model, result.model.first.out_channels
    assert width < 16 and small.table.shape == (36, width) and small.side.weight is small.last.weight
    tensors(small(X))[1].sum().backward()
    pp.verify(model, small, result.plan, X)


class Written(nn.Module):
    """A branch for training that writes a size as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mid, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 24, 1), nn.Conv2d(24, 4, 1)
        self.side = nn.Linear(576, 5)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.first(x))
        out = self.last(torch.relu(self.mid(x)))
        return (out, self.side(x.view(x.shape[0], 576))) if self.training else out


def test_a_size_that_a_branch_for_training_writes_out_is_pinned_and_no_other() -> None:
    result = pruned(seeded(Written))
    assert set(result.plan.cuts) == {"mid"}
    assert "own code" in next(row.pins[0] for row in result.report.groups if row.name == "first")
    tensors(result.model(X))[1].sum().backward()


def test_a_program_keeps_its_dropped_layers_and_is_left_as_it_was() -> None:
    model = seeded(Tower, 3, ("dropped",)).eval()
    program = torch.export.export(model, (X,))
    nodes = [node.name for node in program.graph.nodes]
    plans = [
        pp.prune(given, inputs, budget="macs=0.6", score="l2").plan
        for given, inputs in ((program, None), (model, X))
    ]
    assert plans[0].cuts == plans[1].cuts and plans[0].fingerprint == plans[1].fingerprint
    assert [node.name for node in program.graph.nodes] == nodes
