"""A captured model, random cuts of it, and their replay: what the tests of the torch host share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from prunepass.hosts.torch import (
    ReplayMismatch,
    capture,
    constrain,
    export,
    feeds,
    replay_graph,
    replay_module,
    run,
)
from prunepass.ir import Graph, evaluate
from prunepass.passes import Coupling, Plan, couple, cut, plan_for

ATTEMPTS = 16


def double(sample: tuple[nn.Module, Any]) -> tuple[nn.Module, Any]:
    """The same model and inputs in float64."""
    model, inputs = sample
    return model.double(), pytree.tree_map(lambda x: x.double() if torch.is_floating_point(x) else x, inputs)


def random_cut(graph: Graph, seed: int = 0, share: float = 0.5) -> Graph:
    """``graph`` with random channels of every prunable group cut, about ``share`` of them."""
    coupling = couple(graph)
    return cut(graph, random_plan(coupling, seed, share))


def random_plan(coupling: Coupling, seed: int, share: float) -> Plan:
    """The plan of :func:`random_cut`."""
    rng, remove = np.random.default_rng(seed), {}
    for group in coupling.prunable:
        count = min(group.size - 1, round(group.size * share * rng.uniform(0.5, 1.5)))
        remove[group.name] = np.sort(rng.choice(group.size, count, replace=False))
    return plan_for(coupling, remove)


def cut_module(
    model: nn.Module, inputs: Any, seed: int = 0, module: fx.GraphModule | None = None
) -> tuple[nn.Module, Graph, int]:
    """Plan, replay, constrain, until the module agrees; the module, its cut graph and the number of plans."""
    graph = capture(export(model, inputs) if module is None else module, form="module")
    for attempt in range(1, ATTEMPTS + 1):
        after = random_cut(graph, seed)
        try:
            return replay_module(model, graph, after, inputs), after, attempt
        except ReplayMismatch as mismatch:
            constrained = constrain(graph, mismatch)
            if constrained is graph:
                raise
            graph = constrained
    raise AssertionError(f"no plan fits after {ATTEMPTS} attempts")


def cut_graph(
    model: nn.Module, inputs: Any, seed: int = 0, module: fx.GraphModule | None = None
) -> tuple[nn.Module, Graph]:
    """The cut model as a graph module."""
    module = export(model, inputs) if module is None else module
    before = capture(module)
    after = random_cut(before, seed)
    return replay_graph(module, before, after), after


def assert_computes(model: Any, inputs: Any, graph: Graph, module: Any = None) -> None:
    """``model`` gives what the reference interpreter makes of ``graph``.

    Args:
        module: an exported module that tells how inputs are named; by default ``model`` is exported.
    """
    given = feeds(export(model, inputs) if module is None else module, inputs)
    values = {**evaluate(graph, given), **{name: param.read() for name, param in graph.params.items()}}
    for name, got in zip(graph.outputs, run(model, inputs), strict=True):
        np.testing.assert_allclose(got, values[name], rtol=1e-9, atol=1e-9)


def count(model: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())
