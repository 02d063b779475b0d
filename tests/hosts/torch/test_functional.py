"""Graphs made functional call by call, against torch's own pass over the whole program."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from prunepass.hosts.torch import _export as host
from prunepass.hosts.torch import capture
from prunepass.hosts.torch._functional import made_functional
from prunepass.hosts.torch._mismatch import first_difference
from prunepass.hosts.torch._recorded import recorded
from tests.hosts.torch.faulty import SAMPLES


class Writing(nn.Module):
    """In-place activations and sums, views in disguise, dropout, statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1)
        self.act, self.drop, self.head = nn.ReLU(inplace=True), nn.Dropout(0.3, inplace=True), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.a(x)))
        y = self.b(x)
        y += x
        y = y.permute(0, 2, 3, 1)
        return self.head(self.drop(torch.relu(y).flatten(1, 2).contiguous())).squeeze(1).mean(1)


class Heard(nn.Module):
    """Writes to what another name reads afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        view = x.reshape(-1)
        x.mul_(2.0)
        return self.b(x) + view.sum()


class Through(nn.Module):
    """Writes through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x).unflatten(1, (2, 3)).mul_(2.0).flatten(1))


class Held(nn.Module):
    """Writes to a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 6)
        self.register_buffer("seen", torch.zeros(2, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.seen.add_(self.a(x)).relu()


IMAGE = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
ROWS = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
NETS: list[tuple[type[nn.Module], Any]] = [*SAMPLES.items(), (Writing, IMAGE)]
PLAIN = ("Attention", "Multihead", "Residual", "Writing", "Tied")


def both(model: nn.Module, inputs: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, bool]:
    """The graph made by torch's own pass, that of an export, and whether the latter went call by call."""
    did: list[bool] = []
    monkeypatch.setattr(host, "made_functional", lambda gm: did.append(made_functional(gm)) or did[-1])
    program, own = host.program_of(model, inputs), host._own_tensors(model)
    made = capture(host._functional(program, own))
    return capture(host._lowered(program, own)), made, did[0]


@pytest.mark.parametrize(("kind", "inputs"), NETS, ids=lambda one: getattr(one, "__name__", ""))
def test_nodes_and_names_are_those_of_the_long_way(
    kind: type[nn.Module], inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    want, got, short = both(kind().eval(), inputs, monkeypatch)
    assert first_difference(want, got) is None
    assert [node.name for node in got.nodes] == [node.name for node in want.nodes]
    assert list(got.params) == list(want.params)
    if kind.__name__ in PLAIN:
        assert short


@pytest.mark.parametrize("kind", [Heard, Through, Held])
def test_a_write_that_is_heard_elsewhere_is_left_to_torch(
    kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    want, got, short = both(kind().eval(), ROWS, monkeypatch)
    assert not short
    assert first_difference(want, got) is None


@pytest.mark.parametrize("shapes_only", [True, False])
@pytest.mark.parametrize(("kind", "inputs"), NETS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_run_shows_what_a_capture_shows(
    kind: type[nn.Module], inputs: Any, shapes_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kind().eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    want, _, _ = both(model, inputs, monkeypatch)
    module = recorded(model, inputs, shapes_only=shapes_only)
    assert module is not None
    assert first_difference(want, capture(module)) is None
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("shapes_only", [True, False])
def test_a_run_that_writes_to_the_model_leaves_it_as_it_was(shapes_only: bool) -> None:
    model = Held().eval()
    assert recorded(model, ROWS, shapes_only=shapes_only) is None
    assert not model.seen.any()
