"""A small residual network trained on scikit-learn's 8 x 8 digits in a few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.zoo.cifar import digits_net

_EPOCHS, _BATCH, _RATE = 12, 32, 3e-3


@dataclass(frozen=True)
class Split:
    """Images of shape (n, 1, 8, 8) in [0, 1] and their classes, three quarters for training, by class."""

    train: Any
    train_classes: Any
    test: Any
    test_classes: Any


def digits() -> Split:
    """The 1,797 digits, 450 of them held back; the same ones every time."""
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    scaled = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(scaled, classes, test_size=0.25, random_state=0, stratify=classes)
    train, test, train_classes, test_classes = map(torch.from_numpy, parts)
    return Split(train, train_classes, test, test_classes)


def trained(split: Split, seed: int) -> Any:
    """The network after 12 epochs of Adam with a cosine schedule, in evaluation mode."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    model = digits_net()
    optimizer = torch.optim.Adam(model.parameters(), _RATE)
    steps = _EPOCHS * -(-len(split.train) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(split.train)).split(_BATCH):
            optimizer.zero_grad()
            cross_entropy(model(split.train[rows]), split.train_classes[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def accuracy(model: Any, split: Split) -> float:
    """Share of the held-back digits that ``model`` names rightly."""
    import torch

    with torch.no_grad():
        found = model(split.test).argmax(1)
    return float((found == split.test_classes).float().mean())
