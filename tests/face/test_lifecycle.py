"""What people do with a module after a prune: train it on, run it on other inputs, copy it, store it."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

import prunepass as pp
from tests.face.lifecycle import SUBJECTS, inputs


def leaves(made: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(made) if isinstance(leaf, torch.Tensor)]


def train_a_step(model: nn.Module, x: torch.Tensor) -> None:
    """Every weight gets a gradient and moves."""
    optimiser = torch.optim.SGD(model.train().parameters(), 1e-3)
    torch.stack([leaf.square().mean() for leaf in leaves(model(x))]).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    optimiser.step()
    model.eval()


def assert_same(model: nn.Module, other: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        for one, two in zip(leaves(model(x)), leaves(other(x)), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_pruned_network_lives_on(name: str) -> None:
    subject = SUBJECTS[name]
    torch.manual_seed(0)
    model, x = subject.build().eval(), inputs(subject.shape)
    result = pp.prune(model, x, budget="macs=0.6", score="l2", mode="uniform", compensate=False)
    small, both = result.model, torch.cat([x, 2 * x])
    assert type(small) is type(model) and not small.training
    assert list(small.state_dict()) == list(model.state_dict())

    train_a_step(small, inputs(subject.trains))
    with torch.no_grad():
        shapes = [
            [leaf.shape for leaf in leaves(small(inputs(shape)))] for shape in (subject.shape, subject.other)
        ]
    assert [shape[0] for shape in shapes[0]] == [1] * len(shapes[0])
    assert [shape[1] for shape in shapes[0]] == [shape[1] for shape in shapes[1]]

    twin = copy.deepcopy(small)
    nn.init.zeros_(next(twin.parameters()))
    file = io.BytesIO()
    torch.save(small.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(torch.load(file), strict=True)
    assert_same(small, twin, both)
    assert_same(small, pickle.loads(pickle.dumps(small)), both)
