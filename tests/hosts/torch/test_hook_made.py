"""Weights that a module's hooks make for every step: copied without their history, pruned, and made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import prunepass as pp
from prunepass.hosts.torch._copy import copied
from prunepass.ir import UnsupportedError

X = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))


def of_the_users(conv: nn.Conv2d) -> nn.Conv2d:
    """A weight that a hook of the user's own makes, in a list and in an object beside it."""
    made = nn.Parameter(conv.weight.detach().clone())
    del conv.weight
    conv.register_parameter("raw", made)

    def make(module: Any, _: Any) -> None:
        module.weight = module.raw * 2
        module.history = [module.weight.sum(), Note(module.weight)]

    conv.register_forward_pre_hook(make)
    return conv


class Note:
    def __init__(self, seen: torch.Tensor) -> None:
        self.seen = seen


KINDS: dict[str, Callable[[nn.Conv2d], nn.Module]] = {
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "prune mask": lambda conv: prune.random_unstructured(conv, "weight", amount=0.2),
    "parametrised": parametrizations.weight_norm,
    "a hook of the user's own": of_the_users,
}


pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(params=KINDS)
def trained(request: pytest.FixtureRequest) -> nn.Module:
    """A network that has just made a step, so that its weights carry a history."""
    torch.manual_seed(0)
    conv = KINDS[request.param](nn.Conv2d(8, 12, 3))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), conv, nn.ReLU(), nn.Conv2d(12, 4, 1))
    model(X).sum().backward()
    return model.eval()


def places(model: nn.Module) -> set[int]:
    """Where the data of everything that a module holds lies."""
    held = [*model.parameters(), *model.buffers()]
    held += [
        value
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor)
    ]
    return {tensor.data_ptr() for tensor in held}


def test_a_copy_shares_no_tensor_and_computes_the_same(trained: nn.Module) -> None:
    expected = trained(X)
    copy = copied(trained)
    assert not places(copy) & places(trained)
    torch.testing.assert_close(copy(X), expected)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    torch.testing.assert_close(trained(X), expected)


@pytest.mark.parametrize("inplace", [False, True])
def test_it_is_pruned_and_what_hooks_make_follows(trained: nn.Module, inplace: bool) -> None:
    found = pp.prune(trained, X, budget="macs=0.6", score="l2", mode="uniform", inplace=inplace)
    small: Any = found.model
    rows, columns = small[4].weight.shape[1], small[0].weight.shape[0]
    assert rows < 12
    assert columns < 8
    assert tuple(small[2].weight.shape[:2]) == (rows, columns)
    if not inplace:
        as_graph = pp.apply(found.plan, trained, X, form="graph")
        torch.testing.assert_close(small(X), as_graph(X), rtol=1e-4, atol=1e-5)
    small.train()
    small(X).sum().backward()
    assert all(parameter.grad is not None for parameter in small.parameters())


def test_what_cannot_be_copied_is_said() -> None:
    class Stubborn(nn.Linear):
        def __deepcopy__(self, memo: Any) -> Stubborn:
            raise RuntimeError("no copy of me")

    with pytest.raises(UnsupportedError, match=r"no copy of me.*inplace=True"):
        copied(nn.Sequential(Stubborn(2, 2)))
