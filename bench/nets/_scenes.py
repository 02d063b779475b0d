"""Drawn scenes: shapes of four classes on textured grounds, with their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SIDE, CLASSES, MOST = 96, ("disc", "square", "triangle", "cross"), 5
_YX = np.mgrid[:SIDE, :SIDE].astype(np.float32)


@dataclass(frozen=True)
class Scenes:
    """Images (n, 3, 96, 96) about 0, and objects (n, 5, 5): class or -1, middle x and y, width and height."""

    images: Array
    objects: Array


def scenes(count: int, seed: int) -> Scenes:
    """``count`` scenes of one to five shapes; every scene has a random state of its own."""
    images = np.empty((count, 3, SIDE, SIDE), np.float32)
    objects = np.full((count, MOST, 5), -1.0, np.float32)
    for at in range(count):
        rng = np.random.default_rng((seed, at))
        images[at] = _ground(rng)
        for place, (kind, x, y, size) in enumerate(_placed(rng)):
            objects[at, place] = (kind, *_draw(rng, images[at], kind, x, y, size))
        images[at] += rng.normal(0, rng.uniform(0.03, 0.15), images[at].shape)
    return Scenes((images - 0.5) / 0.25, objects)


def _ground(rng: np.random.Generator) -> Array:
    """Two gratings of random waves and a slope of light, in a random colour."""
    made = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(3):
        turn, wave = rng.uniform(0, np.pi), 2 * np.pi / rng.uniform(5, 40)
        along = np.cos(turn) * _YX[0] + np.sin(turn) * _YX[1]
        made += rng.uniform(0.02, 0.12) * np.sin(wave * along + rng.uniform(0, 6))
    slope = rng.normal(0, 0.15, 2) @ (_YX.reshape(2, -1) / SIDE - 0.5)
    made += slope.reshape(SIDE, SIDE).astype(np.float32)
    colour, tint = rng.uniform(0.2, 0.8, (3, 1, 1)), rng.uniform(0.5, 1.3, (3, 1, 1))
    return (colour + tint * made[None]).astype(np.float32)


def _placed(rng: np.random.Generator) -> list[tuple[int, float, float, float]]:
    """Classes, middles and sizes of shapes that hardly overlap."""
    placed: list[tuple[int, float, float, float]] = []
    wanted = int(rng.integers(1, MOST + 1))
    for _ in range(20):
        if len(placed) == wanted:
            break
        size = float(rng.uniform(9, 26))
        x, y = rng.uniform(size / 2, SIDE - size / 2, 2)
        if all(max(abs(x - u), abs(y - v)) > 0.45 * (size + s) for _, u, v, s in placed):
            placed.append((int(rng.integers(len(CLASSES))), float(x), float(y), size))
    return placed


def _draw(
    rng: np.random.Generator, image: Array, kind: int, x: float, y: float, size: float
) -> tuple[float, ...]:
    """Paint one turned shape over ``image``; the box around what is seen of it."""
    turn, tall = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.0)
    down, right = _YX[0] + 0.5 - y, _YX[1] + 0.5 - x
    u = (np.cos(turn) * right + np.sin(turn) * down) / (size / 2)
    v = (np.cos(turn) * down - np.sin(turn) * right) / (size / 2 * tall)
    inside = _INSIDE[kind](u, v)
    ground = image[:, inside].mean(1)
    apart = rng.choice((-1, 1), 3) * rng.uniform(0.06, 0.3, 3)
    image[:, inside] += (np.clip(ground + apart, 0, 1) - ground)[:, None]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, low, left, far = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return (left + far) / 2, (top + low) / 2, float(far - left), float(low - top)


_INSIDE = (
    lambda u, v: u * u + v * v < 1,
    lambda u, v: np.maximum(abs(u), abs(v)) < 0.72,
    lambda u, v: (v > -0.5) & (v + 1.73 * abs(u) < 1),
    lambda u, v: (np.minimum(abs(u), abs(v)) < 0.28) & (np.maximum(abs(u), abs(v)) < 0.95),
)
