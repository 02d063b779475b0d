"""Latency of an engine as a function of how many channels each group keeps.

The model is linear in features whose dependence on the widths is known from the rules (:mod:`._engine`): work by
kind with sizes rounded up to the engine's grain, bytes, the start of an inference, and where a target brings a
table, the time of each layer that it knows. The weights of the features are fitted to whole networks that were
measured: non-negative least squares on relative errors. Times are fractions of the original's time.

A known measurement is stronger than a fit. :meth:`LatencyModel.anchored` lets the model pass through the last
one exactly, so that a search which measures, corrects and plans again cannot repeat a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir import Array, Atom
from ..coupling import Coupling
from ._engine import START, engine_cost
from ._layer_table import TABLE, LayerTable, layer_terms
from ._polynomial import Number, Polynomial, Widths

# What a multiply-accumulate costs before anything is measured, relative to a dense one; a byte; a start.
_PRIOR = {"dense": 1.0, "window": 1.0, "channelwise": 8.0, "product": 2.0, "weights": 1.0, "moved": 1.0}
_START = 0.02
# Weight of the prior shares against one measurement: it decides only what the measurements leave open.
_RIDGE = 1e-3
_SWEEPS = 500
# How far the slope through two measured points may be from that through the origin.
_BEND = 2.0


@dataclass(frozen=True)
class Point:
    """A network that was measured: its features, and its time over the original's."""

    features: Mapping[str, float]
    time: float
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """Predicts the time of a network over the original's.

    Attributes:
        parts: the polynomial of each feature.
        rates: time of one unit of each feature.
        anchor: ``(predicted, measured, slope)`` of a point that it passes through; see :meth:`anchored`.
    """

    parts: Mapping[str, Polynomial]
    rates: Mapping[str, float]
    anchor: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @staticmethod
    def unfitted(coupling: Coupling, grain: int = 1, table: LayerTable | None = None) -> LatencyModel:
        """The model before anything is measured; layers that ``table`` knows are taken from there."""
        known = layer_terms(coupling, table) if table else ()
        skip = frozenset(node for term in known for node in term.nodes)
        parts = engine_cost(coupling, grain, skip)
        if known:
            parts[TABLE] = Polynomial(known)
        model = LatencyModel(parts, {})
        return model.fitted([Point(model.features({}), 1.0)])

    def features(self, widths: Widths) -> dict[str, float]:
        """The value of each feature where the groups have these widths."""
        return {feature: float(part(widths)) for feature, part in self.parts.items()}

    def time(self, widths: Widths) -> float:
        """Predicted time over the original's."""
        return float(self(widths))

    def __call__(self, widths: Widths) -> Number:
        """The same where a width may be an array of candidates."""
        raw = sum((self.rates[feature] * part(widths) for feature, part in self.parts.items()), start=0)
        return self._corrected(raw)

    def part(self, leaf: Atom, widths: Widths) -> Number:
        """The predicted time of what depends on ``leaf``; an array where its width is one of candidates."""
        total = sum(
            (self.rates[name] * part.part(leaf, widths) for name, part in self.parts.items()), start=0
        )
        return total * self.anchor[2]

    def fitted(self, points: Sequence[Point]) -> LatencyModel:
        """The same features with rates that fit ``points``, of which the first is the original."""
        names = sorted(points[0].features)
        whole = np.array([points[0].features[name] for name in names])
        seen = whole > 0
        shares = _fit(points, [n for n, on in zip(names, seen, strict=True) if on], whole[seen])
        rates = dict.fromkeys(names, 0.0)
        rates.update(zip([n for n, on in zip(names, seen, strict=True) if on], shares, strict=True))
        return replace(self, rates=rates, anchor=(0.0, 0.0, 1.0))

    def anchored(
        self, widths: Widths, measured: float, other: tuple[Widths, float] | None = None
    ) -> LatencyModel:
        """The model shifted to be right at ``widths``; its slope too where ``other`` was measured as well."""
        here = replace(self, anchor=(0.0, 0.0, 1.0))
        predicted = here.time(widths)
        slope = measured / predicted if predicted > 0 else 1.0
        if other is not None:
            run = here.time(other[0]) - predicted
            rise = other[1] - measured
            # Two noisy measurements close to each other would give any slope.
            slope = min(max(rise / run if run else slope, slope / _BEND), slope * _BEND)
        return replace(self, anchor=(predicted, measured, slope))

    def _corrected(self, raw: Number) -> Number:
        predicted, measured, slope = self.anchor
        return measured + slope * (raw - predicted)


def _fit(points: Sequence[Point], names: Sequence[str], whole: Array) -> Array:
    """Rates of the features: least squares on relative errors, none negative, pulled a little to the prior."""
    prior = np.array([_PRIOR.get(name, 1.0) for name in names]) * whole
    prior[[name == START for name in names]] = 0.0
    prior *= (1 - _START) / (prior.sum() or 1.0)
    prior[[name == START for name in names]] = _START
    rows = np.array([[point.features[name] for name in names] for point in points]) / whole
    scale = np.array([point.weight / point.time for point in points])
    left = np.vstack([rows * scale[:, None], np.sqrt(_RIDGE) * np.eye(len(names))])
    right = np.concatenate([[point.weight for point in points], np.sqrt(_RIDGE) * prior])
    return nonnegative(left, right, prior) / whole


def nonnegative(left: Array, right: Array, start: Array) -> Array:
    """``x >= 0`` of least ``|left x - right|``, by cyclic coordinate descent.

    The problems here have some ten unknowns and are regularised, hence strictly convex: it converges.
    """
    square, target = left.T @ left, left.T @ right
    x = np.maximum(start, 0.0)
    for _ in range(_SWEEPS):
        before = x.copy()
        for k in range(len(x)):
            x[k] = max(0.0, x[k] + (target[k] - square[k] @ x) / square[k, k])
        if np.max(np.abs(x - before)) < 1e-10:
            break
    return x
