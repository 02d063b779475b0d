"""Scalings of a model's inputs: the usual ways, and the one that its first normalisation implies.

Whoever trained the model took pictures from 0 to 1, from -1 to 1, from 0 to 255 or with mean 0 and variance 1, or
something of each channel's own. What the first normalisation reads depends on little else than that and the first
weights, so its trained statistics tell: the factor and offset of each channel are a least-squares fit to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...ir import Array, Executor
from ._drawn import Drawer, Scaling, standard
from ._trained_norms import TrainedNorm, first_norms, mean_loss, norm_residuals
from .families import Family, Form

_FITTED = 8
"""More channels than this are not scaled one by one."""
_SAMPLES, _STEPS, _STEP, _FAR, _TIED = 8, 6, 1e-2, 10.0, 0.03

Residuals = Callable[[Scaling], Sequence[Array]]


def scalings_for(drawer: Drawer, executor: Executor, family: Family) -> tuple[Scaling, ...]:
    """The usual scaling that suits the first normalisations best, and one fitted to them where that is possible."""
    form, norms = _form(drawer, family), first_norms(drawer.graph)
    if not norms or form.dtype == "uint8":
        return (standard(family, form),)
    residuals = _residuals_of(drawer, executor, family, norms)
    usual = min(_usual(family, form), key=lambda one: mean_loss(residuals(one)))
    return (usual,) if form.channels > _FITTED else (usual, _fitted(residuals, usual, form.channels))


def _form(drawer: Drawer, family: Family) -> Form:
    return next(form for form in drawer.forms.values() if form.numbers and family.suits(form) > 0)


def _usual(family: Family, form: Form) -> tuple[Scaling, ...]:
    plain = Scaling()
    if not (form.coloured and len(form.space) > 1):
        return standard(family, form), plain
    return standard(family, form), plain, Scaling((2.0,), (-1.0,)), Scaling((255.0,))


def _residuals_of(
    drawer: Drawer, executor: Executor, family: Family, norms: Sequence[TrainedNorm]
) -> Residuals:
    plain = drawer.feeds(family, _SAMPLES, "choice", Scaling())
    suited = {n for n, form in drawer.forms.items() if form.numbers and family.suits(form) > 0}

    def residuals(scaling: Scaling) -> Sequence[Array]:
        return norm_residuals(executor, norms, [_scaled(drawer, feed, suited, scaling) for feed in plain])

    return residuals


def _scaled(
    drawer: Drawer, feed: Mapping[str, Array], suited: set[str], scaling: Scaling
) -> dict[str, Array]:
    found = dict(feed)
    for name in suited:
        form, whole = drawer.forms[name], feed[name]
        axis = whole.ndim - 1 if form.last or not form.shape else whole.ndim - len(form.shape)
        moved = np.moveaxis(whole, axis, 0)
        found[name] = np.ascontiguousarray(np.moveaxis(scaling(moved), 0, axis))
    return found


def _fitted(residuals: Residuals, start: Scaling, channels: int) -> Scaling:
    """Damped least squares over the factors' logarithms and the offsets."""

    def at(number: Array) -> Array:
        found = residuals(_scaling(number, channels))
        flat = [one.ravel() / np.sqrt(one.size) for one in found]
        # Channels that are much alike are told apart by nothing else: they are scaled alike.
        each = (number / unit * _STEP).reshape(2, channels)
        flat.append(_TIED * (each - each.mean(axis=1, keepdims=True)).ravel())
        return np.asarray(np.nan_to_num(np.clip(np.concatenate(flat), -_FAR, _FAR)))

    factors, offsets = (np.broadcast_to(one, channels) for one in (start.factor, start.offset))
    number = np.concatenate([np.log(factors), offsets])
    unit = _STEP * np.concatenate([np.ones(channels), factors])  # an offset is told in units of its factor
    best, damping = at(number), 1e-2
    for _ in range(_STEPS):
        slopes = np.stack([at(number + unit * one) - best for one in np.eye(2 * channels)], axis=1) / _STEP
        square = slopes.T @ slopes
        square += damping * np.trace(square) / len(square) * np.eye(len(square))
        step = -np.linalg.lstsq(square, slopes.T @ best, rcond=None)[0]
        tried = number + unit / _STEP * np.clip(step, -1.5, 1.5)
        found = at(tried)
        if float(found @ found) < float(best @ best):
            number, best, damping = tried, found, damping * 0.3
        else:
            damping *= 10
    return _scaling(number, channels)


def _scaling(number: Array, channels: int) -> Scaling:
    return Scaling(tuple(np.exp(number[:channels]).tolist()), tuple(number[channels:].tolist()))
