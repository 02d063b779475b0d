"""What is read from the user's own source."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from prunepass.hosts.torch._statement import attributes_at, attributes_read, numbers_at


class Talkative(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads, self.dim, self.unused, self.row = 4, 8, 3, (4, 8)

    def named(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(2, -1, self.heads, self.dim).permute(2, 0, 3, 1)

    def aliased(self, x: torch.Tensor) -> torch.Tensor:
        heads, batch = self.heads, x.shape[0]
        return x.view(batch, 5, heads, 8)

    def multiplied(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size(0) * self.heads, -1, x.size(-1) // self.heads)

    def starred(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, 8)

    def unclear(self, x: torch.Tensor, count: int) -> torch.Tensor:
        return x.view(2, 5, count, len(self.row))

    def parts(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack(torch.split(x, self.dim // self.heads, 1))

    def disagreeing(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(2, 5, self.heads, self.dim) + x.view(2, 5, self.dim, self.heads)


def line_of(method: Callable[..., object]) -> str:
    """``file.py:12`` of the statement that a method returns."""
    lines, start = inspect.getsourcelines(method)
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("return"))
    return f"{Path(__file__).name}:{start + at}"


@pytest.mark.parametrize(
    ("method", "sizes", "names"),
    [
        (Talkative.named, (2, 5, 4, 8), ("", "", "heads", "dim")),
        (Talkative.aliased, (2, 5, 4, 8), ("", "", "heads", "")),
        (Talkative.multiplied, (8, 5, 2), ("heads", "", "")),
        (Talkative.starred, (2, 5, 4, 8), (None, None, "heads", "")),
        (Talkative.unclear, (2, 5, 4, 2), ("", "", None, None)),
        (Talkative.disagreeing, (2, 5, 4, 8), (None,) * 4),
        (Talkative.parts, (2, 2, 2), ("dim",) * 3),
        (Talkative.named, (2, 5, 4), (None,) * 3),
    ],
)
def test_arguments_name_attributes(
    method: Callable[..., object], sizes: tuple[int, ...], names: tuple
) -> None:
    assert attributes_at(Talkative, line_of(method), sizes) == names


def test_lines_outside_the_class_name_nothing() -> None:
    assert attributes_at(Talkative, "elsewhere.py:20", (2, 5, 4, 8)) == (None,) * 4
    assert attributes_at(Talkative, "", (2, 5)) == (None,) * 2


def test_only_attributes_that_methods_read_count() -> None:
    read = attributes_read(Talkative)
    assert read is not None
    assert {"heads", "dim", "row"} <= read
    assert "unused" not in read


def test_classes_without_source_say_nothing() -> None:
    made = type("Made", (nn.Module,), {"__module__": "nowhere"})
    assert attributes_read(made) is None
    assert attributes_at(made, "net.py:3", (2, 5)) == (None,) * 2


def test_written_numbers_are_found_in_any_file() -> None:
    number = int(line_of(Talkative.aliased).rpartition(":")[2])
    assert numbers_at(__file__, number, (2, 5, 4, 8)) == (False, True, False, True)
    assert numbers_at("nowhere.py", 1, (2, 5)) == (False, False)
