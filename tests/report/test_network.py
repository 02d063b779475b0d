"""The drawn network: every box below what it reads, apart from its neighbours, and told with its widths."""

from __future__ import annotations

import itertools
import re

import hypothesis.strategies as st
import torch
from hypothesis import given
from torch import nn

import prunepass as pp
from prunepass.passes.cost import wiring
from prunepass.report import page_of, to_html
from prunepass.report._layered import placed


class Branches(nn.Module):
    """Two branches that meet, one layer that runs twice, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.again, self.head = nn.Conv2d(8, 8, 1), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.cat([self.again(torch.relu(self.again(x))), x + self.left(x)], 1)
        return self.head(y.mean((2, 3)))


@st.composite
def networks(draw: st.DrawFn) -> list[tuple[int, ...]]:
    count = draw(st.integers(1, 24))
    return [tuple(draw(st.sets(st.integers(0, at - 1), max_size=4))) if at else () for at in range(count)]


@given(networks())
def test_boxes_stand_below_what_they_read_and_apart(reads: list[tuple[int, ...]]) -> None:
    found = placed(reads)
    for at, read in enumerate(reads):
        assert all(found.rows[one] < found.rows[at] for one in read)
    for row in set(found.rows):
        columns = sorted(c for c, r in zip(found.columns, found.rows, strict=True) if r == row)
        assert all(b - a > 1 - 1e-6 for a, b in itertools.pairwise(columns))


def test_a_box_on_the_straight_way_blocks_it() -> None:
    chain = placed([(), (0,), (0, 1)])
    assert chain.blocked(0, 2) and not chain.blocked(0, 1)


def test_wiring_leaves_out_what_only_hands_on_and_keeps_what_joins() -> None:
    graph = pp.capture(Branches().eval(), torch.randn(1, 3, 6, 6))
    boxes = wiring(graph)
    assert [(one.name, one.kind) for one in boxes] == [
        ("x", "input"),
        ("stem", "layer"),
        ("again", "layer"),
        ("left", "layer"),
        ("add", "join"),
        ("concat", "join"),
        ("head", "layer"),
    ]
    assert [one.reads for one in boxes] == [(), (0,), (1,), (1,), (1, 3), (2, 4), (5,)]
    assert [one.channels for one in boxes] == [0, 8, 8, 8, 8, 16, 4]


def test_a_layer_between_two_runs_of_another_makes_two_boxes_of_it() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(self.b(self.a(x)))

    boxes = wiring(pp.capture(Twice().eval(), torch.randn(1, 4)))
    assert [one.name for one in boxes] == ["x", "a", "b", "a"]
    assert all(read < at for at, one in enumerate(boxes) for read in one.reads)


def test_the_page_draws_every_layer_with_its_channels_before_and_after() -> None:
    torch.manual_seed(0)
    result = pp.prune(
        Branches().eval(), torch.randn(1, 3, 6, 6), budget="macs=0.6", score="l2", repair="none"
    )
    drawn = {one.name: one for one in result.report.wiring if one.kind == "layer"}
    for name in ("stem", "left", "again"):
        assert drawn[name].channels[1] == getattr(result.model, name).out_channels
    text = to_html(page_of(result.report))
    svg = re.search(r'<div class="network".*?</svg>', text, re.DOTALL)
    assert svg and svg[0].count("<a ") == len(drawn)
    cut = next(name for name, one in drawn.items() if one.channels[0] != one.channels[1])
    before, after = drawn[cut].channels
    assert f"{cut}: {before} → {after} channels" in svg[0]
    assert "wiring" not in result.report.to_json()
