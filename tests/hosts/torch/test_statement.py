"""What is read from the user's own source."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from prunepass.hosts.torch._statement import attributes_read, numbers_at


class Talkative(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads, self.dim, self.unused, self.row = 4, 8, 3, (4, 8)

    def named(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(2, -1, self.heads, self.dim).permute(2, 0, 3, 1)

    def aliased(self, x: torch.Tensor) -> torch.Tensor:
        heads, batch = self.row[0], x.shape[0]
        return x.view(batch, 5, heads, 8)

    def side_by_side(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(self.heads, self.dim).expand(4, 8)


def test_only_attributes_that_methods_read_count() -> None:
    read = attributes_read(Talkative)
    assert read is not None
    assert {"heads", "dim", "row"} <= read
    assert "unused" not in read


def test_classes_without_source_say_nothing() -> None:
    made = type("Made", (nn.Module,), {"__module__": "nowhere"})
    assert attributes_read(made) is None


def test_written_numbers_are_found_in_any_file() -> None:
    lines, start = inspect.getsourcelines(Talkative.aliased)
    number = start + next(i for i, line in enumerate(lines) if line.strip().startswith("return"))
    assert numbers_at(__file__, number, (2, 5, 4, 8)) == (False, True, False, True)
    assert numbers_at("nowhere.py", 1, (2, 5)) == (False, False)


def test_two_calls_of_a_line_that_fit_alike_say_nothing() -> None:
    lines, start = inspect.getsourcelines(Talkative.side_by_side)
    assert numbers_at(__file__, start + len(lines) - 1, (4, 8)) == (False, False)
    assert numbers_at(__file__, start + len(lines) - 1, (4, 8, 2)) == (False, False, False)
