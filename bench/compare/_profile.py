"""Where an engine spends its time: in layers that do counted work, and in the rest."""

from __future__ import annotations

from prunepass.backends import get
from prunepass.hosts import open_model
from prunepass.passes import couple
from prunepass.passes.cost._kinds import live_nodes

_RUNS = 20
# What ONNX Runtime appends to the name of a layer that it brought into its blocked layout.
_BLOCKED = "_nchwc"


def work_and_rest(file: str) -> dict[str, float]:
    """Microseconds of an inference of ONNX Runtime in layers of counted work (``work``) and elsewhere (``rest``)."""
    with get("onnxruntime").build(file) as engine:
        times = engine.profile(runs=_RUNS)
    named = _working(file)
    # Fusion gives some layers names of its own: what is of a kind with a layer that is known by name counts too.
    working = {time.kind for time in times if time.name.removesuffix(_BLOCKED) in named}
    found = {"work": 0.0, "rest": 0.0}
    for time in times:
        found["work" if time.kind in working else "rest"] += time.microseconds
    return found


def _working(file: str) -> set[str]:
    """Names of the nodes that do counted work, and of what they write: the engine goes by either."""
    coupling = couple(open_model(file).graph)
    nodes = [node for node, rule in live_nodes(coupling) if rule.work]
    return {name for node in nodes for name in (node.name, *node.outputs)}
