"""``python -m bench.nets.fashion``: train the ResNet-20 of doubled width on Fashion-MNIST.

The data is Debian's ``dataset-fashion-mnist``. The first half of the steps sees images shrunk to 20 x 20, which
halves their cost; horizontal flips, shifts of two pixels.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional

from ._resnet import resnet20
from ._training import Recipe, train
from ._weights import load, save

NAME = "fashion"
DATA = Path("/usr/share/datasets/fashion-mnist")
MEAN, SPREAD = 0.2860, 0.3530
_BATCH, _SMALL = 128, 20


def images(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised images (n, 1, 28, 28) and classes of ``part``: "train" or "t10k"."""
    pixels = _read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    classes = _read(f"{part}-labels-idx1-ubyte.gz", 8)
    return torch.from_numpy((pixels / np.float32(255) - MEAN) / SPREAD).float(), torch.from_numpy(
        classes
    ).long()


def _read(name: str, header: int) -> np.ndarray[Any, Any]:
    path = DATA / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: apt-get install dataset-fashion-mnist")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header).astype(np.float32)


def trained() -> nn.Module:
    """The network with the committed weights."""
    return load(resnet20(), NAME)


def accuracy(model: nn.Module, inputs: torch.Tensor, classes: torch.Tensor) -> float:
    """Share named rightly."""
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in inputs.split(250)])
    return float((found == classes).float().mean())


def _moved(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every image flipped by chance and shifted by up to two pixels."""
    count = len(x)
    flip = torch.rand(count, generator=generator) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    padded = functional.pad(x, (2, 2, 2, 2), value=-MEAN / SPREAD)
    at = torch.randint(0, 5, (2, count, 1), generator=generator)
    rows, columns = at[0] + torch.arange(28), at[1] + torch.arange(28)
    return padded[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.nets.fashion", description=__doc__)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("fashion.pt"), help="go on from here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    x, classes = images("train")
    model = resnet20().to(memory_format=torch.channels_last)
    recipe = Recipe(int(given.epochs * len(x) / _BATCH), 0.4 * _BATCH / 256, seed=given.seed)

    def loss(generator: torch.Generator, step: int) -> torch.Tensor:
        rows = torch.randint(0, len(x), (_BATCH,), generator=generator)
        batch = _moved(x[rows], generator)
        if step < recipe.steps // 2:
            batch = functional.interpolate(batch, size=_SMALL, mode="bilinear", antialias=True)
        made = model(batch.contiguous(memory_format=torch.channels_last))
        return functional.cross_entropy(made, classes[rows])

    train(model, loss, recipe, given.checkpoint)
    path = save(model, NAME)
    Console().print(f"{path}: {accuracy(trained(), *images('t10k')):.4f} of the test images named rightly")


if __name__ == "__main__":
    main()
