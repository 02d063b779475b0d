"""Digits for tests of drivers: 8 x 8 pictures of drawn figures, shifted and noisy, and a small net that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tests.zoo.cifar import digits_net

# Five rows of three pixels for each figure.
_FIGURES = (
    *("111101101101111", "010110010010111", "111001111100111", "111001011001111", "101101111001001"),
    *("111100111001111", "111100111101111", "111001010010010", "111101111101111", "111101111001111"),
)
_NOISE, _BATCH = 0.15, 50


@dataclass(frozen=True)
class Split:
    """Pictures of shape (n, 1, 8, 8) and the figures that they show."""

    pictures: torch.Tensor
    figures: torch.Tensor


@cache
def split(count: int, seed: int) -> Split:
    """So many pictures, the same ones every time."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(0, _NOISE, (count, 1, 8, 8))
    figures = rng.integers(0, 10, count)
    for picture, figure in zip(pictures, figures, strict=True):
        row, column = rng.integers(1, 3), rng.integers(2, 4)
        shape = np.array([float(pixel) for pixel in _FIGURES[figure]]).reshape(5, 3)
        picture[0, row : row + 5, column : column + 3] += shape
    return Split(torch.from_numpy(pictures.astype(np.float32)), torch.from_numpy(figures))


def train(model: nn.Module, epochs: int, rate: float = 3e-3, seed: int = 0) -> None:
    """Adam with a cosine schedule; the model is left in training mode, as trainers do."""
    data = split(1200, 0)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(data.figures), generator=order).split(_BATCH):
            optimizer.zero_grad()
            cross_entropy(model(data.pictures[rows]), data.figures[rows]).backward()
            optimizer.step()
        schedule.step()


def accuracy(model: Any) -> float:
    """The share of new pictures that the model reads rightly."""
    data = split(1000, 1)
    model.eval()
    with torch.no_grad():
        found = model(data.pictures).argmax(1)
    return float((found == data.figures).float().mean())


@dataclass(frozen=True)
class Task:
    """How a digits net is judged and trained."""

    epochs: int = 4

    def evaluate(self, model: Any) -> float:
        return accuracy(model)

    def tune(self, model: Any, hooks: Any) -> None:
        train(model, self.epochs)
        hooks.progress(1.0)


@cache
def _trained() -> nn.Module:
    torch.manual_seed(0)
    model = digits_net((8, 16, 32))
    train(model, 8)
    return model.eval()


def net() -> nn.Module:
    """A trained net of one's own."""
    model = digits_net((8, 16, 32))
    model.load_state_dict(_trained().state_dict())
    return model.eval()
