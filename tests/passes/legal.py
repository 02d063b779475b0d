"""Random legal cuts, for the theorem and for the benches of it."""

from __future__ import annotations

import numpy as np

from prunepass.ir import Array, Atom, Graph, Index
from prunepass.passes import Coupling, Plan, plan_for


def free_atoms(coupling: Coupling) -> list[Atom]:
    """The atoms whose width may change."""
    return [group.atom for group in coupling.prunable if group.atom is not None]


def random_cut(coupling: Coupling, seed: int) -> Plan:
    """A plan that cuts every prunable group, by any number of channels that leaves one."""
    rng = np.random.default_rng(seed)
    remove: dict[str, Index] = {}
    for group in coupling.prunable:
        count = int(rng.integers(1, group.size))
        remove[group.name] = rng.choice(group.size, count, replace=False)
    return plan_for(coupling, remove)


def inputs_for(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Small normal numbers: products of many of them stay where rounding is harmless."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for name in graph.inputs:
        value = graph.values[name]
        if "float" in value.dtype:
            feeds[name] = rng.standard_normal(value.shape)
        else:
            feeds[name] = rng.integers(0, 2, value.shape).astype(value.dtype)
    return feeds
