"""Constants that a forward writes out: never the user's own tensors, and compared by value wherever they stand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import fx, nn

import prunepass as pp
from prunepass.hosts.torch import capture, export
from prunepass.ir import Graph, UnsupportedError

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))

# Every way to bake the width of a tensor into a float constant.
WAYS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a number": lambda h: torch.tensor(h.size(-1), dtype=torch.float),
    "computed": lambda h: torch.tensor(float(h.size(-1))).sqrt() + 1,
    "filled": lambda h: torch.full((), float(h.size(-1))),
    "of the same kind": lambda h: h.new_tensor(h.shape[-1]),
    "one a channel": lambda h: torch.arange(h.size(-1), dtype=torch.float) + h.size(-1),
    "of several": lambda h: torch.tensor([1.0, h.size(-1)]).sum(),
    "whole numbers": lambda h: torch.tensor(h.size(-1)) + 1,
}


class Baked(nn.Module):
    """Divides by what is made of its width; ``wide`` may always be cut."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.a, self.b, self.wide, self.out = (
            nn.Linear(6, 8),
            nn.Linear(8, 6),
            nn.Linear(6, 32),
            nn.Linear(32, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x).relu()
        h = self.b(h / WAYS[self.way](h))
        return self.out(self.wide(h).relu())


def nested(model: nn.Module, depth: int) -> nn.Module:
    torch.manual_seed(0)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model.eval()


NESTED = [(way, 2) for way in WAYS] + [("a number", 0)]


@pytest.mark.parametrize(("way", "depth"), NESTED)
def test_what_is_trained_is_what_the_user_owns(way: str, depth: int) -> None:
    model = nested(Baked(way), depth)
    params = capture(export(model, X)).params
    assert {name for name, param in params.items() if param.trained} == set(model.state_dict())


@pytest.mark.parametrize(("way", "depth"), NESTED)
def test_a_width_in_a_constant_is_planned_around(way: str, depth: int) -> None:
    model = nested(Baked(way), depth)
    result = pp.prune(model, X, budget="macs=0.7", score="l2", mode="uniform", compensate=False)
    as_graph = pp.apply(result.plan, model, X, form="graph")
    torch.testing.assert_close(result.model(X), as_graph(X), rtol=1e-5, atol=1e-6)
    assert result.model.get_submodule("0." * depth + "wide").out_features < 32


@pytest.mark.parametrize(("way", "depth"), NESTED)
def test_apply_gives_the_graph_or_refuses_with_the_line(way: str, depth: int) -> None:
    model = nested(Baked(way), depth)
    plan = pp.prune(model, X, budget="macs=0.7", score="l2", mode="uniform", form="graph").plan
    as_graph = pp.apply(plan, model, X, form="graph")
    with contextlib.suppress(UnsupportedError):
        torch.testing.assert_close(pp.apply(plan, model, X)(X), as_graph(X), rtol=1e-5, atol=1e-6)
        return
    with pytest.raises(UnsupportedError, match=r"test_written\.py:\d+"):
        pp.apply(plan, model, X)


class Named(nn.Module):
    """A buffer of the user's own under the name that torch gives to constants, and a constant beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)
        self.register_buffer("lifted_tensor_0", torch.linspace(1, 2, 8))
        self._tensor_constant0 = torch.linspace(2, 3, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x) * self.lifted_tensor_0 + self._tensor_constant0 * torch.tensor(0.5))


@pytest.mark.parametrize("depth", [0, 2])
def test_a_tensor_of_the_users_is_theirs_whatever_its_name(depth: int) -> None:
    model = nested(Named(), depth)
    graph = capture(export(model, X))
    path = "0." * depth
    assert graph.params[f"{path}lifted_tensor_0"].trained
    assert graph.params[f"{path}_tensor_constant0"].trained
    small = pp.prune(model, X, budget="macs=0.6", score="l2").model.get_submodule(path.rstrip("."))
    width = small.a.weight.shape[0]
    assert width < 8
    assert small.lifted_tensor_0.shape == small._tensor_constant0.shape == (width,)


def constants(graph: Graph) -> list[np.ndarray]:
    return [param.read() for param in graph.params.values() if not param.trained]


def test_constants_of_a_traced_module_and_of_a_program_are_written_too() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) * torch.linspace(1, 2, 8) + torch.tensor([0.5] * 8)

    model = nn.Sequential(Written()).eval()
    program = torch.export.export(model, (X,))
    for given in (program, program.module(), export(program)):
        found = capture(export(given, X))
        assert {name for name, param in found.params.items() if param.trained} == set(model.state_dict())
        assert len(constants(found)) == 2
    assert isinstance(program.module(), fx.GraphModule)


class Outgoing(nn.Module):
    """Gives what it makes of its width, and no operation reads that."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 32), nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.a(x).relu()
        return self.b(h), torch.tensor(float(h.size(-1)))


def test_a_constant_among_the_outputs_is_compared_too() -> None:
    model = nested(Outgoing(), 1)
    plan = pp.prune(model, X, budget="macs=0.7", score="l2", form="graph").plan
    with pytest.raises(UnsupportedError, match=r"no longer 32\.0 but"):
        pp.apply(plan, model, X)
