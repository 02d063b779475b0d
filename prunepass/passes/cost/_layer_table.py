"""Measured times of single layers, and how they are read at widths that were not measured.

A layer of the table is known by a key over what it computes at full width: its operator's declaration, its
attributes, the shapes and dtypes of its operands, and which of its sizes vary together. Its samples lie at some
widths; between them the time is a power law in each width, fitted to the samples, times what the nearest samples
say it is off by (inverse distances in logarithms; exact at a sample). Times of layers follow power laws in their
widths well: exponents of 0.8 to 0.95 were measured for convolutions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...ir import Array, Atom, Node
from ..coupling import Coupling
from ._kinds import MOVED, codes_read, dtype_of, kind_of, live_nodes
from ._polynomial import Size, Sizes, Widths, atoms_in, size_at

TABLE = "table"
_NEAR = 1e-9


@dataclass(frozen=True)
class Samples:
    """Times of one layer: row ``i`` of ``widths`` (one number an axis) took ``microseconds[i]``."""

    widths: tuple[tuple[int, ...], ...]
    microseconds: tuple[float, ...]


LayerTable: TypeAlias = Mapping[str, Samples]


@dataclass(frozen=True)
class Layer:
    """A node that does counted work, as a table sees it.

    Attributes:
        key: equal for layers that compute the same at full width.
        axes: the sizes of its operands that vary, each once, in order of appearance.
    """

    node: Node
    kind: str
    dtype: str
    key: str
    axes: tuple[Size, ...]


def layers_of(coupling: Coupling) -> tuple[Layer, ...]:
    """The layers that do counted work, and have a size that varies."""
    sizes, found = Sizes(coupling), []
    for node, rule in live_nodes(coupling):
        kind = kind_of(coupling, node)
        if kind == MOVED or not rule.work:
            continue
        layer = _layer(coupling, node, kind, sizes)
        if layer.axes:
            found.append(layer)
    return tuple(found)


def _layer(coupling: Coupling, node: Node, kind: str, sizes: Sizes) -> Layer:
    axes: dict[Size, int] = {}
    shapes, pattern = [], []
    for name in node.inputs:
        if name is None:
            continue
        tensor = coupling.graph.tensor(name)
        shapes.append([*tensor.shape, tensor.dtype])
        for dim in coupling.dims[name]:
            _, varying = sizes.split((dim,))
            pattern.append(axes.setdefault(varying[0], len(axes)) if varying else -1)
    attrs = {key: str(value) for key, value in node.attrs.items()}
    dtype = dtype_of(coupling.graph, node)
    coded = [dtype] if codes_read(coupling.graph, node) else []
    text = json.dumps([node.op, attrs, shapes, pattern, *coded], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Layer(node, kind, dtype, key, tuple(axes))


@dataclass(frozen=True, eq=False)
class LayerTerm:
    """The measured time of one layer, as a term of a latency model; several equal layers are several terms."""

    sizes: tuple[Size, ...]
    nodes: tuple[str, ...]
    logs: Array
    power: Array
    residuals: Array

    @property
    def atoms(self) -> frozenset[Atom]:
        return atoms_in(self.sizes)

    def value(self, widths: Widths) -> Array:
        """Microseconds."""
        sizes = [np.log(np.maximum(size_at(size, widths), 0.5)) for size in self.sizes]
        at = np.stack(np.broadcast_arrays(*sizes), axis=-1)
        law = self.power[0] + at @ self.power[1:]
        distance = np.sum((at[..., None, :] - self.logs) ** 2, axis=-1) + _NEAR
        near = 1 / distance**1.5
        off = np.sum(near * self.residuals, axis=-1) / np.sum(near, axis=-1)
        result: Array = np.exp(law + off)
        return result


def layer_terms(coupling: Coupling, table: LayerTable) -> tuple[LayerTerm, ...]:
    """A term for each layer of the graph that ``table`` knows."""
    return tuple(
        _term(layer, samples)
        for layer in layers_of(coupling)
        if (samples := table.get(layer.key)) is not None and len(samples.widths[0]) == len(layer.axes)
    )


def _term(layer: Layer, samples: Samples) -> LayerTerm:
    logs = np.log(np.array(samples.widths, dtype=np.float64))
    times = np.log(np.array(samples.microseconds))
    power = _power_law(logs, times)
    residuals = times - (power[0] + logs @ power[1:])
    return LayerTerm(layer.axes, (layer.node.name,), logs, power, residuals)


def _power_law(logs: Array, times: Array) -> Array:
    """``[c, e..]`` of ``log t = c + e . log w`` by least squares, pulled slightly to exponents of 1."""
    axes = logs.shape[1]
    pull = 1e-2 * np.eye(axes + 1)[1:]
    left = np.vstack([np.hstack([np.ones((len(logs), 1)), logs]), pull])
    right = np.concatenate([times, np.full(axes, 1e-2)])
    law: Array = np.linalg.lstsq(left, right, rcond=None)[0]
    return law


def grown(
    table: LayerTable, key: str, samples: Sequence[tuple[tuple[int, ...], float]]
) -> dict[str, Samples]:
    """``table`` with one more layer, its samples in order of their widths."""
    ordered = sorted(samples)
    made = Samples(tuple(widths for widths, _ in ordered), tuple(time for _, time in ordered))
    return {**table, key: made}
