"""What goes of ten models under the options of a plain prune, in short.

``python -m tests.face.golden_plans`` makes the figures anew. Weights come from numpy alone, so that they depend on
no host's generator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tests.conftest  # noqa: F401 (makes torchvision importable)
from prunepass import capture
from prunepass.ir import Graph
from prunepass.passes import LatencyLimit, LatencyModel, Pipeline, Plan, Select, State, couple
from prunepass.passes._standard import Compensate, Score
from tests.face.nets import TORCH, onnx_file
from tests.graphs import residual
from tests.zoo.catalog import ZOO

FILE = Path(__file__).with_suffix(".json")
NETS = ("digits", "yolo_c2f", "squeeze_excite", "unet", "gpt")
TORCHVISION = ("mobilenet_v2", "resnet18")
_FEW = 40
ONNX = ("light_squeezenet", "light_shufflenet")

# Score, budget and the other options of the pass that chooses.
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("l2", "macs=0.5", {}),
    ("l2", "macs=0.5", {"align": 8}),
    ("l2", "params=0.6", {"align": 8, "mode": "uniform"}),
    ("l2", "channels=0.7", {"mode": "uniform"}),
    ("l2", "macs=0.8,params=0.7", {"floor": 0.25}),
    ("l2", "macs=0.7", {"align": 8, "grain": {"window": 16.0}, "minimum": 4, "floor": 0.3}),
    ("variance", "macs=0.5", {}),
    ("variance", "macs=0.6", {"align": 8, "mode": "uniform"}),
    ("l2", "latency=0.6", {"align": 4}),
    ("l2", "latency=0.7,params=0.7", {"align": 8, "mode": "uniform"}),
    ("l2", "macs=0.05", {"floor": 0.5}),
)


def models() -> Iterator[tuple[str, Callable[[], Graph]]]:
    yield "residual", lambda: _silent(_drawn(residual(16)), "two.a", 3)
    for name in (*NETS, *TORCHVISION):
        yield name, partial(_from_torch, name)
    for name in ONNX:
        yield name, partial(_from_onnx, name)


def _from_torch(name: str) -> Graph:
    model, inputs = (ZOO if name in ZOO else TORCH)[name]()
    return _drawn(capture(model, inputs))


def _from_onnx(name: str) -> Graph:
    return _drawn(capture(onnx_file(name)))


def _drawn(graph: Graph) -> Graph:
    """The graph with weights drawn by name; scales and variances stay positive."""
    params = {}
    for name, param in graph.params.items():
        if param.trained and "float" in param.dtype:
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
            rng = np.random.default_rng(seed)
            data = rng.uniform(0.2, 1.0, param.shape)
            if len(param.shape) > 1:
                data = rng.standard_normal(param.shape) / np.sqrt(np.prod(param.shape[1:]))
            param = replace(param, source=partial(np.asarray, data.astype(param.dtype)))
        params[name] = param
    return replace(graph, params=params)


def _silent(graph: Graph, layer: str, count: int) -> Graph:
    """The graph with the last ``count`` channels of a layer at nothing: they are dead."""
    params = dict(graph.params)
    for name in (f"{layer}.weight", f"{layer}.bias"):
        array = params[name].read().copy()
        array[-count:] = 0
        params[name] = replace(params[name], source=partial(np.asarray, array))
    return replace(graph, params=params)


def plans(graph: Graph) -> Iterator[tuple[str, Callable[[], Plan]]]:
    """A plan for every case, by what was asked for."""
    coupling, scored = couple(graph), dict[str, State]()
    model = LatencyModel.unfitted(coupling, 8)
    for score, budget, options in CASES:
        if score not in scored:
            scored[score] = Pipeline.parse(f"couple | score{{metric={score}}}")(graph)

        def made(score: str = score, budget: str = budget, options: dict[str, Any] = options) -> Plan:
            fraction = dict(part.split("=") for part in budget.split(",")).get("latency")
            clocked = LatencyLimit(model, float(fraction)) if fraction else None
            steps = (Select(budget=budget, **options), Compensate())
            plan: Plan = Pipeline(steps).resume(scored[score].having(clocked=clocked)).need("plan", "golden")
            return plan

        yield f"{score} {budget} {json.dumps(options, sort_keys=True)}", made
    first, group = scored["l2"], coupling.prunable[0]
    select = Select(budget="macs=0.6", ratios={group.name: 0.5})
    yield "l2 macs=0.6 ratio", lambda: Pipeline((select, Compensate())).resume(first).need("plan", "golden")
    if len(graph.nodes) < _FEW:
        chosen = replace(select, ratios={})
        yield "auto", lambda: Pipeline((Score(), chosen)).resume(State.start(graph)).need("plan", "golden")
    yield "dead", lambda: Pipeline((Select(budget="dead"),)).resume(first).need("plan", "golden")


def summary(plan: Plan) -> dict[str, Any]:
    """A hash of what is cut, and three sums of what is added."""
    cuts = {name: [one.size, list(one.remove)] for name, one in sorted(plan.cuts.items())}
    text = json.dumps(cuts, sort_keys=True)
    shifts = [np.asarray(plan.shifts[name], dtype=np.float64).ravel() for name in sorted(plan.shifts)]
    flat = np.concatenate([np.zeros(0), *shifts])
    turning = flat @ np.cos(np.arange(flat.size))
    return {
        "cuts": hashlib.sha256(text.encode()).hexdigest()[:16],
        "removed": sum(len(one.remove) for one in plan.cuts.values()),
        "shifts": [float(np.abs(flat).sum()), float(flat.sum()), float(turning)],
        "options": json.dumps(dict(plan.options), sort_keys=True),
    }


def summaries(graph: Graph) -> Mapping[str, Any]:
    """The short form of every plan, or the class of the error and the nearest that it tells."""
    found: dict[str, Any] = {}
    for name, made in plans(graph):
        try:
            found[name] = summary(made())
        except Exception as error:
            found[name] = f"{type(error).__name__}: {str(error).partition('; the nearest')[2]}"
    return found


if __name__ == "__main__":
    everything = {name: summaries(build()) for name, build in models()}
    FILE.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", "utf-8")
