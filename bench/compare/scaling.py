"""How time and memory of the analyses grow with the size of the graph."""

from __future__ import annotations

import tracemalloc
from math import log
from typing import Any

from prunepass.ir import Graph
from prunepass.passes import Select, couple, cut
from prunepass.passes.scores import L1, Dfpc

from . import _generated
from ._clock import Stopwatch, medians, rounded
from ._table import Options, Row, Table
from ._worker import isolated

_KINDS = ("residual", "dense")
_SIZES = (100, 300, 1000, 3000, 10000)
_STAGES = ("couple", "score l1", "score dfpc", "select", "cut")
_LIMIT = 600.0


def run(options: Options) -> Table:
    """Generated networks of 10^2 to 10^4 nodes, and ResNet-101 at 32 x 32 pixels."""
    sizes = _SIZES[:3] if options.quick else _SIZES
    repeats = 1 if options.quick else 3
    rows = [_generated_row(kind, size, repeats) for kind in _KINDS if options.wants(kind) for size in sizes]
    notes = [
        _growth(kind, [row for row in rows if row["network"] == kind])
        for kind in _KINDS
        if options.wants(kind)
    ]
    if options.wants("resnet101"):
        rows.append(_captured_row("resnet101", 32, repeats))
    return Table(
        "Time and memory of couple, score, select and cut against the size of the graph",
        tuple(rows),
        (
            "CPU seconds on one thread, medians of runs in processes of their own; memory is the peak that Python "
            "and numpy allocated during the passes, weights in float32 not counted.",
            "The generated networks have 16 channels and 4 x 4 pixels, so that the number of nodes and not the "
            "arithmetic decides.",
            *notes,
        ),
    )


def _generated_row(kind: str, size: int, repeats: int) -> Row:
    runs = [isolated("scaling:timed", limit=_LIMIT, kind=kind, size=size) for _ in range(repeats)]
    memory = isolated("scaling:weighed", limit=_LIMIT, kind=kind, size=size)
    return _row(kind, runs, memory)


def _captured_row(name: str, pixels: int, repeats: int) -> Row:
    runs = [isolated("scaling:timed", limit=_LIMIT, kind=name, size=pixels) for _ in range(repeats)]
    memory = isolated("scaling:weighed", limit=_LIMIT, kind=name, size=pixels)
    return _row(f"{name} at {pixels} x {pixels}", runs, memory)


def _row(name: str, runs: list[dict[str, Any]], memory: dict[str, Any]) -> Row:
    failed = next((found["failed"] for found in (*runs, memory) if "failed" in found), None)
    middle = {} if failed else medians(runs)
    total = sum(middle[stage] for stage in _STAGES) if middle else None
    nodes = int(middle["nodes"]) if middle else None
    return {
        "network": name,
        "nodes": nodes,
        "groups": int(middle["groups"]) if middle else None,
        **{f"{stage} (s)": rounded(middle.get(stage)) for stage in _STAGES},
        "total (s)": rounded(total),
        "ms per 1000 nodes": rounded(1e6 * total / nodes) if total and nodes else None,
        "peak memory (MiB)": rounded(memory.get("peak")),
        "failed": failed,
    }


def _growth(kind: str, rows: list[Row]) -> str:
    """The exponent between the smallest and the largest network: 1 is linear."""
    good = [row for row in rows if not row["failed"]]
    if len(good) < 2:
        return f"{kind}: too few sizes for a growth rate."
    steps = log(good[-1]["nodes"] / good[0]["nodes"])
    time = log(good[-1]["total (s)"] / good[0]["total (s)"]) / steps
    memory = log(good[-1]["peak memory (MiB)"] / good[0]["peak memory (MiB)"]) / steps
    return (
        f"{kind}: from {good[0]['nodes']} to {good[-1]['nodes']} nodes time grows with the power {time:.2f} of the "
        f"number of nodes, memory with {memory:.2f} (1 is linear)."
    )


def timed(kind: str, size: int) -> dict[str, Any]:
    """CPU seconds of each stage on one fresh graph; runs in a process of its own."""
    graph, watch = _graph(kind, size), Stopwatch()
    return {**_passes(graph, watch), **watch.seconds}


def weighed(kind: str, size: int) -> dict[str, Any]:
    """Peak memory of the same, in MiB, by tracemalloc (which slows it down: no timing here)."""
    graph = _graph(kind, size)
    tracemalloc.start()
    _passes(graph, Stopwatch())
    return {"peak": tracemalloc.get_traced_memory()[1] / 2**20}


def _graph(kind: str, size: int) -> Graph:
    if kind in _KINDS:
        graph: Graph = getattr(_generated, kind)(size)
    else:
        from prunepass.hosts.torch import capture, export

        from ._vision import image, network

        graph = capture(export(network(kind), image(size)))
    for param in graph.params.values():
        param.read()
    return graph


def _passes(graph: Graph, watch: Stopwatch) -> dict[str, int]:
    with watch.stage("couple"):
        coupling = couple(graph)
    with watch.stage("score l1"):
        scores = L1()(coupling)
    with watch.stage("score dfpc"):
        Dfpc()(coupling)
    with watch.stage("select"):
        plan = Select("channels=0.5", mode="uniform").plan(coupling, scores)
    with watch.stage("cut"):
        cut(graph, plan)
    return {"nodes": len(graph.nodes), "groups": len(coupling.prunable)}
