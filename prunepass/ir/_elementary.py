"""Elementary functions that numpy lacks."""

from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np

from ._graph import Array
from ._plain import word

_erf = np.frompyfunc(erf, 1, 1)


def error_function(x: Array) -> Array:
    """erf, entry by entry, in the dtype of ``x``."""
    return np.asarray(_erf(x)).astype(x.dtype)


def gelu(x: Array, form: object) -> Array:
    """x times the normal distribution function of x; ``tanh`` is an approximation of it."""
    if word(form) == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + error_function(x / sqrt(2))))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    """Weights that sum to 1 over ``axes``; where all are -inf (everything masked) they are 0."""
    top = x.max(axis=axes, keepdims=True, initial=-np.inf)
    raised = np.exp(x - np.where(np.isinf(top), 0, top))
    whole = raised.sum(axis=axes, keepdims=True)
    return np.asarray(raised / np.where(whole == 0, 1, whole))


def logsumexp(x: Array, axes: tuple[int, ...], *, keepdims: bool) -> Array:
    """log of the sum of exp over ``axes`` without overflow."""
    top = x.max(axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isinf(top), 0, top)
    whole = np.log(np.exp(x - top).sum(axis=axes, keepdims=True)) + top
    return np.asarray(whole if keepdims else whole.squeeze(axes))


def standardised(x: Array, axes: tuple[int, ...], eps: float, *, centred: bool = True) -> tuple[Array, ...]:
    """``x`` with mean 0 over ``axes`` (where ``centred``) and mean square 1, the mean, and what it was times.

    The last is 1 / sqrt(mean square + eps); both keep their axes.
    """
    mean = x.mean(axis=axes, keepdims=True) * (1 if centred else 0)
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + eps)
    return (x - mean) * rstd, np.asarray(mean), np.asarray(rstd)
