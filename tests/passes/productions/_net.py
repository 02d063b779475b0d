"""A random network on its way, and the table of productions that extend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from tests.graphs import Builder

WIDEST = 24
ACTIVATIONS = (
    "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "hard_swish", "hard_sigmoid", "leaky_relu", "elu",
    "softplus", "mish", "abs", "neg", "square", "sin", "exp", "erf", "softsign", "celu", "selu", "log_sigmoid",
)  # fmt: skip


class Net(Builder):
    """Knows its current tensor: a map ``(batch, channel, *space)`` or rows ``(batch, *length, channel)``.

    Attributes:
        random: the choices of the step that is being made.
        now: the current tensor.
        last: whether its channels are on the last axis (rows) or on axis 1 (a map).
        past: earlier tensors, with ``last``, for skips and second outputs.
        extra: tensors that are outputs besides the last one.
    """

    def __init__(self, seed: int, batch: int, scale: int) -> None:
        super().__init__("random", seed)
        self.random, self.batch, self.scale = Random(seed), batch, scale
        self.now, self.last = "", False
        self.past: list[tuple[str, bool]] = []
        self.extra: list[str] = []

    @property
    def dims(self) -> tuple[int, ...]:
        return self.shape(self.now)

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def channel_axis(self) -> int:
        return self.rank - 1 if self.last else 1

    @property
    def width(self) -> int:
        return self.dims[self.channel_axis]

    @property
    def space(self) -> tuple[int, ...]:
        return self.dims[2:]

    def go(self, tensor: str, last: bool | None = None) -> None:
        """Make ``tensor`` the current one."""
        self.past.append((self.now, self.last))
        self.now, self.last = tensor, self.last if last is None else last

    def then(self, op: str, *others: str | None, **attrs: Any) -> None:
        """Go on to ``op`` of the current tensor."""
        self.go(self.add(op, self.now, *others, **attrs))

    def some(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def widths(self, multiple: int = 1) -> int:
        """A width for a new layer."""
        return multiple * self.some(max(1, 2 // multiple), max(1, WIDEST // 2 // multiple))

    def along(self, count: int) -> tuple[int, ...]:
        """Shape in which ``count`` numbers run along the channel axis of the current tensor."""
        return (count,) if self.last else (count, *(1,) * (self.rank - 2))

    def layer(self, x: str, out: int, *, last: bool | None = None) -> str:
        """A convolution or linear layer, as fits the layout."""
        if self.last if last is None else last:
            return self.linear(x, out, bias=self.maybe())
        kernel = self.pick(1, 3)
        if self.rank == 2:
            return self.linear(x, out, bias=self.maybe())
        return self.conv(x, out, kernel, padding=kernel // 2, bias=self.maybe())

    def act(self, x: str) -> str:
        return self.add(self.pick(*ACTIVATIONS[:10]), x)

    def number(self, value: float) -> str:
        return self.constant(np.float32(value))

    def divisor(self, count: int, *, least: int = 2) -> int:
        """A divisor of ``count``, not below ``least``; 1 where there is none."""
        return self.random.choice([n for n in range(least, count + 1) if count % n == 0] or [1])


Fits = Callable[[Net], bool]
Extend = Callable[[Net], None]


@dataclass(frozen=True)
class Production:
    """One way to go on: applies where ``fits``.

    Attributes:
        sized: what it makes depends on batch or image size beyond the shapes.
    """

    name: str
    fits: Fits
    extend: Extend
    sized: bool = False


class Table(dict[str, Production]):
    """Productions by name; ``table(fits)`` enters a function under its own name."""

    def __call__(self, fits: Fits, *, sized: bool = False) -> Callable[[Extend], Extend]:
        def enter(extend: Extend) -> Extend:
            name = extend.__name__
            assert name not in self, f"two productions are called '{name}'"
            self[name] = Production(name, fits, extend, sized)
            return extend

        return enter


def always(net: Net) -> bool:
    return True


def maps(net: Net) -> bool:
    """A map with at least one spatial axis."""
    return not net.last and net.rank > 2


def images(net: Net) -> bool:
    return not net.last and net.rank == 4


def rows(net: Net) -> bool:
    return net.last


def tokens(net: Net) -> bool:
    return net.last and net.rank == 3


def vectors(net: Net) -> bool:
    return net.rank == 2


def wide(fits: Fits, multiple: int = 2) -> Fits:
    """``fits``, and the width is a multiple of ``multiple`` above it."""
    return lambda net: fits(net) and net.width % multiple == 0 and net.width >= 2 * multiple


def even(fits: Fits) -> Fits:
    """``fits``, and every spatial size is even."""
    return lambda net: fits(net) and all(size % 2 == 0 for size in net.space)
