"""Channels taken in a constant order, which a module keeps in a buffer: cut, and the order counted anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunepass.hosts.torch import capture, export
from prunepass.passes import couple
from tests.hosts.torch.nets import Reordered
from tests.hosts.torch.trials import assert_computes, cut_graph, cut_module, double

IMAGE = torch.randn(2, 3, 6, 6)
ORDERS = {
    "halves": [4, 5, 6, 7, 0, 1, 2, 3],
    "shuffled": [0, 4, 1, 5, 2, 6, 3, 7],
    "part": [1, 2, 3, 4],
    "twice": [0, 1, 2, 3, 0, 1, 2, 3],
}


@pytest.mark.parametrize("select", [False, True])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_order_of_channels_is_counted_anew(order: list[int], select: bool) -> None:
    model, inputs = double((Reordered(order, select=select).eval(), IMAGE))
    small, after, attempts = cut_module(model, inputs)
    assert attempts == 1
    assert small.b.in_channels == len(small.order) < len(order)
    assert small.order.dtype == torch.int64
    assert_computes(small, inputs, after)


def test_a_graph_s_own_order_is_counted_anew() -> None:
    model, inputs = double((Reordered(ORDERS["halves"]).eval(), IMAGE))
    small, after = cut_graph(model, inputs)
    assert len(small.get_buffer("order")) < 8
    assert_computes(small, inputs, after, export(model, inputs))


class Written(nn.Module):
    """The order stands in the source."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x)[:, [4, 5, 6, 7, 0, 1, 2, 3]])


def test_an_order_that_stands_in_the_source_holds_its_channels() -> None:
    model, inputs = double((Written().eval(), IMAGE))
    small, after, attempts = cut_module(model, inputs)
    assert attempts > 1
    assert small.a.out_channels == 8
    assert_computes(small, inputs, after)


def test_channels_taken_one_by_one_are_pinned() -> None:
    graph = capture(export(Reordered([7, 6, 5, 4, 3, 2, 1, 0]).eval(), IMAGE))
    groups = [group for group in couple(graph).groups if group.name == "a"]
    assert any("looked up by an index" in str(pin) for group in groups for pin in group.pins)
