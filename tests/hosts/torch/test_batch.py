"""Graph form: the batch stays free where the module's own code reads it, and what is fixed says so."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import prunepass as pp


class Net(nn.Module):
    """A convolution, ``read`` of its maps, and a layer that reads what came."""

    def __init__(self, read: Callable[[Any, Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.read = read
        self.a, self.b = nn.Conv2d(3, 12, 3), nn.Linear(width, 4)
        # What nothing reads is as wide as the channels, and would pin them.
        if read is with_token:
            self.token = nn.Parameter(torch.randn(1, 1, 12))
        if read is with_state:
            self.state = nn.GRUCell(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.read(self, self.a(x).relu()))  # type: ignore[no-any-return]


def viewed(net: Any, y: Tensor) -> Tensor:
    return y.view(y.shape[0], -1)


def with_token(net: Any, y: Tensor) -> Tensor:
    """As vision transformers join a class token."""
    tokens = y.flatten(2).transpose(1, 2)
    return torch.cat([net.token.expand(y.shape[0], -1, -1), tokens], 1).mean(1)


def in_one_row(net: Any, y: Tensor) -> Tensor:
    """Batch and positions as one axis and back."""
    count, channels, height, width = y.shape
    row = y.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    return row.relu().reshape(count, height * width, channels).sum(1)


def with_state(net: Any, y: Tensor) -> Tensor:
    """A first state of zeros, as recurrent layers make."""
    return net.state(y.mean((2, 3)), torch.zeros(y.shape[0], 12))  # type: ignore[no-any-return]


def with_table(net: Any, y: Tensor) -> Tensor:
    """A table that starts with the channels and has a row for each sample."""
    table = torch.zeros(y.shape[0], y.shape[1]) + 0.5
    return y.mean((2, 3)) * table


def of_itself(net: Any, y: Tensor) -> Tensor:
    rows = torch.arange(y.shape[0])
    return y.mean((2, 3))[rows]


def divided(net: Any, y: Tensor) -> Tensor:
    """A number that the batch went into."""
    return y.mean((2, 3)) * (1.0 / y.shape[0])


FREE = {read.__name__: read for read in (viewed, with_token, in_one_row, with_state, with_table, of_itself)}
SIDE = 6


def network(read: Callable[[Any, Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return Net(read, 12 * (SIDE - 2) ** 2 if read is viewed else 12).eval()


def pruned(read: Callable[[Any, Tensor], Tensor], batch: int) -> fx.GraphModule:
    result = pp.prune(
        network(read), torch.randn(batch, 3, SIDE, SIDE), budget="macs=0.6", score="l2", form="graph"
    )
    assert result.report.after.macs < result.report.before.macs
    model: fx.GraphModule = result.model
    return model


@pytest.mark.parametrize("batch", [1, 2, 12])
@pytest.mark.parametrize("name", FREE)
def test_samples_are_the_same_in_every_batch(name: str, batch: int) -> None:
    """Even where the batch equals the number of channels."""
    model = pruned(FREE[name], batch)
    x = torch.randn(5, 3, SIDE, SIDE)
    whole = model(x)
    for at in range(5):
        torch.testing.assert_close(model(x[at : at + 1]), whole[at : at + 1], rtol=1e-4, atol=1e-5)


def test_where_the_batch_cannot_be_free_another_one_is_refused() -> None:
    model = pruned(divided, 2)
    assert model(torch.randn(2, 3, SIDE, SIDE)).shape == (2, 4)
    for other in (1, 4):
        with pytest.raises(AssertionError, match="batch is fixed at 2"):
            model(torch.randn(other, 3, SIDE, SIDE))


def test_what_the_user_captured_stays_what_was_captured() -> None:
    net = network(with_token)
    program = torch.export.export(net, (torch.randn(2, 3, SIDE, SIDE),))
    model = pp.prune(program, budget="macs=0.6", score="l2").model
    assert model(torch.randn(2, 3, SIDE, SIDE)).shape == (2, 4)
    with pytest.raises(RuntimeError):
        model(torch.randn(3, 3, SIDE, SIDE))


class Named(nn.Module):
    """Keyword arguments, a second input and outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 16), nn.Linear(16, 3)
        self.register_buffer("scale", torch.full((16,), 0.5), persistent=False)

    def forward(self, x: Tensor, *, mask: Tensor) -> dict[str, Tensor]:
        y = self.a(x).relu() * self.scale
        return {"rows": self.b(y) * mask.view(x.shape[0], 1), "norm": y.square().sum(1)}


def kept(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model)


def through_torch(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


def through_pickle(model: nn.Module) -> nn.Module:
    loaded: nn.Module = pickle.loads(pickle.dumps(model))
    return loaded


@pytest.mark.parametrize("way", [kept, through_torch, through_pickle])
def test_results_are_copied_saved_whole_and_loaded(way: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    x, mask = torch.randn(2, 6), torch.ones(2)
    result = pp.prune(Named().eval(), ((x,), {"mask": mask}), budget="macs=0.6", score="l2", form="graph")
    guarded = pruned(divided, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own pytree specs
        again, refuses = way(result.model), way(guarded)
    want, got = result.model(x, mask=mask), again(x, mask=mask)
    assert want.keys() == got.keys()
    for name, tensor in want.items():
        assert torch.equal(got[name], tensor)
    assert again.state_dict().keys() == result.model.state_dict().keys()
    assert again(torch.randn(7, 6), mask=torch.ones(7))["rows"].shape == (7, 3)
    with pytest.raises(AssertionError, match="batch is fixed"):
        refuses(torch.randn(3, 3, SIDE, SIDE))
    again.train()
    sum(tensor.sum() for tensor in again(x, mask=mask).values()).backward()
    assert all(parameter.grad is not None for parameter in again.parameters())
