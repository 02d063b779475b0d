"""``python -m bench.nets.scenes``: train a small anchor-free detector on drawn scenes.

One output of scores (sigmoid, a map for each class) and one of boxes (middle within the cell, width and height), at
a stride of 8 pixels; trained with the focal loss of heat maps and the distance of boxes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional

from ._average_precision import Found, mean_average_precision
from ._resnet import Block
from ._scenes import CLASSES, SIDE, Scenes, scenes
from ._training import Recipe, train
from ._weights import load, save

NAME, STRIDE = "scenes", 8
# Scenes of training, of repair and of the test have seeds of their own.
TRAIN_SEED, REPAIR_SEED, TEST_SEED = 1, 2, 3
_BATCH, _POOL = 64, 3000


class Detector(nn.Module):
    """Scores (n, classes, 12, 12) and boxes (n, 4, 12, 12) of 96 x 96 images."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Block(width, 2 * width, 2),
        )
        self.body = nn.Sequential(
            Block(2 * width, 4 * width, 2), *(Block(4 * width, 4 * width, 1) for _ in range(2))
        )
        self.kind, self.box = _head(4 * width, len(CLASSES)), _head(4 * width, 4)
        nn.init.constant_(self.kind[-1].bias, -4.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.body(self.stem(x))
        return torch.sigmoid(self.kind(seen)), self.box(seen)


def _head(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs // 2, 3, 1, 1, bias=False),
        nn.BatchNorm2d(inputs // 2),
        nn.ReLU(),
        nn.Conv2d(inputs // 2, outputs, 1),
    )


def trained() -> Detector:
    """The detector with the committed weights."""
    model = load(Detector(), NAME)
    assert isinstance(model, Detector)
    return model


def decoded(scores: torch.Tensor, boxes: torch.Tensor, most: int = 20) -> list[Found]:
    """Peaks of the score maps with their boxes, the ``most`` surest of each image."""
    peaks = torch.where(functional.max_pool2d(scores, 3, 1, 1) == scores, scores, 0.0).flatten(1)
    surest, at = peaks.topk(most)
    cells = scores.shape[2] * scores.shape[3]
    kind, cell = at // cells, at % cells
    found = boxes.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1))
    row, column = cell // scores.shape[3], cell % scores.shape[3]
    x, y = (column + found[:, 0]) * STRIDE, (row + found[:, 1]) * STRIDE
    size = found[:, 2:].clamp(-3, 3).exp() * 2 * STRIDE
    corners = torch.stack((x - size[:, 0] / 2, y - size[:, 1] / 2, x + size[:, 0] / 2, y + size[:, 1] / 2), 2)
    return [Found(*(part.numpy() for part in parts)) for parts in zip(surest, kind, corners, strict=True)]


def precision(model: nn.Module, given: Scenes) -> float:
    """Mean average precision at an overlap of a half."""
    with torch.no_grad():
        parts = [decoded(*model(part)) for part in torch.from_numpy(given.images).split(64)]
    return mean_average_precision([found for part in parts for found in part], given.objects, len(CLASSES))


def _wanted(objects: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Heat maps with a bell around each middle, boxes, and which cells hold a middle."""
    count, side = len(objects), SIDE // STRIDE
    heat, boxes = torch.zeros(count, len(CLASSES), side, side), torch.zeros(count, 4, side, side)
    held = torch.zeros(count, side, side, dtype=torch.bool)
    grid = torch.arange(side)
    image, place = torch.nonzero(objects[:, :, 0] >= 0, as_tuple=True)
    for at, (kind, x, y, width, height) in zip(image.tolist(), objects[image, place].tolist(), strict=True):
        column, row = min(int(x / STRIDE), side - 1), min(int(y / STRIDE), side - 1)
        wide = 2 * (max(width, height) / STRIDE / 4) ** 2
        bell = torch.exp(-((grid[:, None] - row) ** 2 + (grid[None] - column) ** 2) / wide)
        heat[at, int(kind)] = torch.maximum(heat[at, int(kind)], bell)
        size = (np.log(width / 2 / STRIDE), np.log(height / 2 / STRIDE))
        boxes[at, :, row, column] = torch.tensor((x / STRIDE - column, y / STRIDE - row, *size))
        held[at, row, column] = True
    return heat, boxes, held


def _loss(made: tuple[torch.Tensor, torch.Tensor], objects: torch.Tensor) -> torch.Tensor:
    heat, boxes, held = _wanted(objects)
    scores = made[0].float().clamp(1e-4, 1 - 1e-4)
    hit = heat > 0.999
    missed = -torch.log(scores) * (1 - scores) ** 2 * hit
    false = -torch.log(1 - scores) * scores**2 * (1 - heat) ** 4 * ~hit
    far = (made[1].float() - boxes).abs().sum(1)[held].sum()
    return ((missed + false).sum() + far) / held.sum()


def _turned(images: torch.Tensor, objects: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch mirrored one way or the other, or turned over the diagonal, in turn."""
    objects = objects.clone()
    if step % 2:
        images, objects[..., 1] = images.flip(3), SIDE - objects[..., 1]
    if step // 2 % 2:
        images, objects[..., 2] = images.flip(2), SIDE - objects[..., 2]
    if step // 4 % 2:
        images, objects = images.transpose(2, 3), objects[..., [0, 2, 1, 4, 3]]
    return images, objects


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.nets.scenes", description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("scenes.pt"), help="go on from here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    pool = scenes(_POOL, TRAIN_SEED)
    images, objects = torch.from_numpy(pool.images), torch.from_numpy(pool.objects)
    model = Detector().to(memory_format=torch.channels_last)

    def loss(generator: torch.Generator, step: int) -> torch.Tensor:
        rows = torch.randint(0, len(images), (_BATCH,), generator=generator)
        batch, wanted = _turned(images[rows], objects[rows], step)
        return _loss(model(batch.contiguous(memory_format=torch.channels_last)), wanted)

    train(model, loss, Recipe(given.steps, 0.05, seed=given.seed), given.checkpoint)
    path = save(model, NAME)
    Console().print(
        f"{path}: mean average precision {precision(trained(), scenes(500, TEST_SEED)):.4f} on 500 scenes"
    )


if __name__ == "__main__":
    main()
