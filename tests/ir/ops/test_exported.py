"""How users write movements in torch: whatever an export makes of it is declared, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import prunepass as pp
from prunepass.ir import evaluate

MOVES: dict[str, Callable[[Any], Any]] = {
    "view_as": lambda x: x.view_as(torch.zeros(2, 24, 4)),
    "reshape": lambda x: x.permute(0, 2, 3, 1).reshape(2, -1),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, 3)),
    "chunk": lambda x: x.chunk(4, 1),
    "split": lambda x: (*x.split(4, 1), *x.split([2, 4], 1)),
    "tensor_split": lambda x: (*x.tensor_split(4, 1), *x.tensor_split((1, 3), 1)),
    "unbind": lambda x: x.unbind(1),
    "narrow": lambda x: x.narrow(1, 2, 3),
    "slices": lambda x: (x[:, 1::2], x[:, -1], x[..., :2, None], x[:, :, 1:-1]),
    "lists": lambda x: (x[:, [0, 2]], x[:, [0, 2], [1, 1]], x[[0], :, [1]]),
    "squeeze": lambda x: (x[:1].squeeze(), x.squeeze(1), x[:1, :, :1].squeeze((0, 2))),
    "transposes": lambda x: (x.transpose(1, 2), x[0, 0].t(), x.mT, x.movedim(1, -1), x.swapaxes(0, 1)),
    "expand": lambda x: (x[:1].expand(3, -1, -1, -1), x[:1].expand_as(x), x[:1].broadcast_to(x.shape)),
    "repeat": lambda x: (x.repeat(2, 1, 1, 1), x.tile(2), x.repeat_interleave(2, 1), x.repeat_interleave(2)),
    "joins": lambda x: (torch.cat([x, x], 1), torch.stack([x, x], 1), torch.hstack([x, x])),
    "shuffles": lambda x: (x.roll(1, 1), x.flip(1), x.rot90(1, (2, 3)), F.channel_shuffle(x, 3)),
    "pixels": lambda x: (F.pixel_shuffle(x[:, :4], 2), F.pixel_unshuffle(x, 2)),
    "pads": lambda x: (F.pad(x, (1, 1, 0, 0, 1, 2)), F.pad(x, (1, 1, 1, 1), mode="reflect")),
    "circular": lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
    "windows": lambda x: (x.unfold(2, 2, 1), F.unfold(x, 2), F.fold(F.unfold(x, 2), 4, 2)),
    "triangles": lambda x: (x.tril(), x.triu(1), x.diagonal(0, 2, 3)),
    "running": lambda x: (x.cumsum(1), x.cumprod(1)),
    "orders": lambda x: (x.topk(2, 1)[0], x.sort(1)[0], x.argsort(1), x.msort()),
    "casts": lambda x: (x.to(torch.float64), x.long(), x.type_as(torch.zeros(1, dtype=torch.int32)), x > 0),
    "layouts": lambda x: (x.to(memory_format=torch.channels_last) + 1, x.transpose(1, 2).contiguous()),
    "fills": lambda x: (x + torch.full((6, 1, 1), 2.0), torch.zeros_like(x), x.new_zeros(6, 4), x * 0),
    "scatters": lambda x: (x.scatter(1, PLACES, 1.0), x.scatter_add(1, PLACES, x), x.gather(1, PLACES)),
    "by_index": lambda x: (x.index_add(1, ONE, x[:, :1]), x.index_fill(1, ONE, 0.0), x.index_select(1, ONE)),
    "dropout": lambda x: (F.dropout(x, 0.5, False) + 1, F.dropout2d(x, 0.5, False) + 1),
}
PLACES, ONE = torch.ones(2, 1, 4, 4, dtype=torch.long), torch.tensor([1])


class Written(torch.nn.Module):
    """Assignments in place, as the functional form has them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, 1:3] = 0
        y[:, 0] = x[:, 1]
        y[:, :, ::2] = 1.0
        y[:, [0, 2]] = 3.0
        return y


class Moved(torch.nn.Module):
    def __init__(self, move: Callable[[Any], Any]) -> None:
        super().__init__()
        self.move = move

    def forward(self, x: torch.Tensor) -> Any:
        return self.move(x)


@pytest.mark.parametrize("name", [*MOVES, "written"])
def test_what_an_export_writes_is_declared_and_computes_the_same(name: str) -> None:
    model = Written() if name == "written" else Moved(MOVES[name])
    x = torch.linspace(-2, 2, 2 * 6 * 4 * 4).reshape(2, 6, 4, 4)
    graph = pp.capture(model, x)
    assert [node.attrs["kind"] for node in graph.nodes if node.op == "foreign"] == []
    made = evaluate(graph, {name: x.numpy() for name in graph.inputs})
    truth = model(x)
    truth = truth if isinstance(truth, tuple | list) else (truth,)
    found = [made[out] if out in made else graph.params[out].read() for out in graph.outputs]
    distinct = list({id(part): part for part in truth}.values())
    for ours, theirs in zip(found, distinct, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)
