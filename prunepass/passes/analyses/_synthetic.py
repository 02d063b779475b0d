"""Synthetic inputs: overlapping discs where an input looks like an image, normal noise elsewhere."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Graph

_LEAVES = 200


def synthetic_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """One synthetic input of every kind the graph reads, by name."""
    rng = np.random.default_rng(seed)
    return {
        name: _synthetic(rng, graph.values[name].shape, graph.values[name].dtype) for name in graph.inputs
    }


def _synthetic(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if "float" not in dtype:
        return rng.integers(0, 2, shape).astype(dtype)
    if len(shape) == 4 and min(shape[1], shape[3]) <= 4:
        channels_last = shape[3] <= 4 < shape[1]
        count, size = (shape[3], shape[1:3]) if channels_last else (shape[1], shape[2:])
        images = np.stack([dead_leaves(rng, count, size) for _ in range(shape[0])])
        return np.moveaxis(images, 1, 3) if channels_last else images
    return rng.standard_normal(shape)


def dead_leaves(rng: np.random.Generator, channels: int, size: tuple[int, ...]) -> Array:
    """An image of shape (channels, *size): overlapping discs, radii of density r^-3, normal colours."""
    height, width = size
    image = np.zeros((channels, height, width))
    rows, columns = np.mgrid[:height, :width]
    largest = max(2.0, max(size) / 3)
    for _ in range(_LEAVES):
        radius = 1 / np.sqrt(rng.uniform(1 / largest**2, 1.0))
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        image[:, (rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.standard_normal((channels, 1))
    return image
