"""Modules whose weights are computed from norms: the filters that stay are those of the original."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

import prunepass as pp


def by_hooks(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # still what most checkpoints were saved with
        return weight_norm(layer)


def network(normed: Callable[[nn.Module], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        normed(nn.Conv1d(3, 8, 3, padding=1)),
        nn.ReLU(),
        normed(nn.ConvTranspose1d(8, 6, 3)),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        normed(nn.Linear(6, 4)),
    ).eval()


@pytest.mark.parametrize("normed", [by_hooks, parametrizations.weight_norm, parametrizations.spectral_norm])
def test_filters_that_stay_are_those_of_the_original(normed: Callable[[nn.Module], nn.Module]) -> None:
    model, x = network(normed), torch.randn(2, 3, 20)
    with torch.no_grad():
        model(x)
    result = pp.prune(model, x, budget="channels=0.6", score="l2", mode="uniform", compensate=False)
    assert not any(row.inexact for row in result.report.groups)
    assert any("normed or summed" in text for group in groups_of(model, x) for text in group.inexact)
    with torch.no_grad():
        result.model(x)
    kept = [np.setdiff1d(np.arange(cut.size), cut.remove) for _, cut in sorted(result.plan.cuts.items())]
    assert len(kept) == 2
    for at, (axis_out, axis_in), (rows, columns) in (
        (0, (0, 1), (kept[0], np.arange(3))),
        (2, (1, 0), (kept[1], kept[0])),
        (6, (0, 1), (np.arange(4), kept[1])),
    ):
        large, small = (net[at].weight.detach().numpy() for net in (model, result.model))
        want = np.take(np.take(large, rows, axis_out), columns, axis_in)
        np.testing.assert_allclose(small, want, rtol=1e-5, atol=1e-6)


def groups_of(model: nn.Module, x: torch.Tensor) -> tuple[pp.passes.Group, ...]:
    return pp.passes.couple(pp.capture(model, x, form="module")).prunable
