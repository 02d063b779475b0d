"""Networks that draw at random inside: one draw for the masked and the pruned one, cut along channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunepass as pp
from prunepass import passes
from prunepass.ir import VerificationError, registry

Noisy = Callable[[Tensor], Tensor]


def attended(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x, x, dropout_p=0.2, scale=0.25)


EVERYWHERE: dict[str, Noisy] = {
    "rand_like": lambda x: x * torch.rand_like(x),
    "randn_like": lambda x: x + torch.randn_like(x) * 0.5,
    "randn": lambda x: x + torch.randn(x.shape),
    "a map": lambda x: x * torch.bernoulli(torch.full((x.shape[0], 1, x.shape[2]), 0.9)),
    "channels": lambda x: x + torch.rand(x.shape[0], x.shape[1], 1),
    "probabilities": lambda x: torch.bernoulli(x.sigmoid()),
    "coins in place": lambda x: x * torch.empty_like(x).bernoulli_(0.4),
    "normal of moments": lambda x: torch.normal(x, x.abs()),
    "uniform in place": lambda x: x + torch.empty_like(x).uniform_(1, 2),
    "whole": lambda x: x + torch.randint(0, 5, (x.shape[1], 1)),
    "dropout": lambda x: functional.dropout(x, 0.3, training=True),
    "dropout of channels": lambda x: functional.dropout1d(x, 0.3, training=True),
    "alpha dropout": lambda x: functional.alpha_dropout(x, 0.3, training=True),
    "leaky at random": lambda x: functional.rrelu(x, training=True),
    "drop path": lambda x: x * x.new_empty((x.shape[0], 1, 1)).bernoulli_(0.8).div_(0.8),
    "attention": lambda x: attended(x.mT).mT,
    "gumbel": lambda x: functional.gumbel_softmax(x, dim=-1),
}


class Net(nn.Module):
    """Two layers whose channels pass through noise."""

    def __init__(self, noisy: Noisy) -> None:
        super().__init__()
        self.noisy = noisy
        self.a, self.b = nn.Conv1d(4, 16, 3, padding=1), nn.Conv1d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.noisy(self.a(x).relu()))  # type: ignore[no-any-return]


def network(noisy: Noisy) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Net(noisy).eval(), torch.randn(2, 4, 8)


@pytest.mark.parametrize("form", ["module", "graph"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_channels_are_cut_through_noise(name: str, form: str) -> None:
    model, inputs = network(EVERYWHERE[name])
    result = pp.prune(model, inputs, budget="macs=0.6", score="l2", form=form)  # type: ignore[arg-type]
    held = dict(result.model.named_parameters())
    assert held["a.weight"].shape[0] < 16
    assert result.report.host is not None
    assert result.report.host.drawn
    assert result.model(inputs).shape == (2, 3, 8)


@pytest.mark.parametrize("name", ["rand_like", "channels", "dropout", "probabilities"])
def test_another_draw_is_another_network(name: str) -> None:
    """The proof would see noise of other channels."""
    model, inputs = network(EVERYWHERE[name])
    graph = pp.capture(model, inputs)
    coupling = passes.couple(graph)
    plan = passes.plan_for(coupling, {"a": [0, 1, 5]})
    small = passes.cut(graph, plan)
    passes.prove(graph, small, plan)
    nodes = tuple(replace(node, entries=()) for node in small.nodes)
    with pytest.raises(VerificationError):
        passes.prove(graph, replace(small, nodes=nodes), plan)


def test_noise_is_no_constant_and_no_weight() -> None:
    """What is drawn into a table of channels is drawn anew at every call, and scores do not read it."""
    model, inputs = network(EVERYWHERE["whole"])
    graph = pp.capture(model, inputs)
    drawn = [out for node in graph.nodes if registry()[node.op].random(node.attrs) for out in node.outputs]
    coupling = passes.couple(graph)
    assert drawn
    assert coupling.static.isdisjoint(drawn)
    assert all(member.tensor not in drawn for group in coupling.groups for member in group.members)


def test_only_what_depends_on_noise_is_not_compared_in_the_host() -> None:
    class Both(Net):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            y = self.a(x).relu()
            return self.b(y), self.b(self.noisy(y))

    torch.manual_seed(0)
    result = pp.prune(Both(torch.rand_like).eval(), torch.randn(2, 4, 8), budget="macs=0.6", score="l2")
    assert result.report.host is not None
    assert len(result.report.host.drawn) == 1
    assert 0 < result.report.host.tolerance < 1e-3


def test_undeclared_noise_is_pinned_and_proven() -> None:
    result = pp.prune(*network(lambda x: x[torch.randperm(2)]), budget="macs=0.6", score="l2")
    assert result.report.proof is not None
    model, inputs = network(lambda x: torch.poisson(x))
    state = torch.random.get_rng_state()
    groups = pp.analyze(pp.capture(model, inputs)).groups
    graph = pp.capture(model, inputs)
    passes.prove(graph, graph, passes.plan_for(passes.couple(graph), {}))
    assert torch.equal(state, torch.random.get_rng_state())
    assert "poisson" in str(next(group for group in groups if group.name == "a").pins[0])
