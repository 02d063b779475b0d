"""Noise that can be cut: what is drawn at an entry depends on the place of the entry alone.

A counter-based generator hashes the node's name and the coordinates of every entry. The masked and the cut network
therefore see one draw: the cut node knows which entries of the uncut one are its own (``Call.entries``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from ._graph import Array, Shape

if TYPE_CHECKING:
    from ._op import Call

# The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
_STEP, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def uniform_draw(call: Call, shape: Shape, stream: int = 0) -> Array:
    """Entries between 0 and 1, both excluded, independent of each other; ``stream`` gives another draw."""
    state = np.asarray(crc32(f"{call.name}/{stream}".encode()), np.uint64)
    with np.errstate(over="ignore"):
        state = _mixed(state)
        for axis, size in enumerate(shape):
            own = call.entries[axis] if axis < len(call.entries) else None
            places = np.arange(size) if own is None else own
            state = _mixed(state[..., None] + _STEP * (places.astype(np.uint64) + np.uint64(axis + 1)))
    return np.asarray(((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def normal_draw(call: Call, shape: Shape) -> Array:
    """Entries of the standard normal law (Box and Muller)."""
    radius = np.sqrt(-2 * np.log(uniform_draw(call, shape)))
    return np.asarray(radius * np.cos(2 * np.pi * uniform_draw(call, shape, 1)))


def _mixed(state: Array) -> Array:
    state = state + _STEP
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return np.asarray(state ^ (state >> np.uint64(31)))
