"""Where ONNX Runtime spends its time: in layers that do counted work, and in the rest."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from prunepass.backends import get, random_feeds
from prunepass.hosts import open_model
from prunepass.passes import couple
from prunepass.passes._kinds import live_nodes

_RUNS = 20
_SUFFIX = "_kernel_time"
# What the engine appends to the name of a layer that it brought into its blocked layout.
_BLOCKED = "_nchwc"


def work_and_rest(file: str) -> dict[str, float]:
    """Microseconds of an inference in layers that do counted work (``work``) and elsewhere (``rest``)."""
    times, named = _times(file), _working(file)
    # Fusion gives some layers names of its own: what is of a kind with a layer that is known by name counts too.
    working = {kind for name, kind in times if name.removesuffix(_BLOCKED) in named}
    found = {"work": 0.0, "rest": 0.0}
    for (_, kind), spent in times.items():
        found["work" if kind in working else "rest"] += median(spent)
    return found


def _working(file: str) -> set[str]:
    """Names of the nodes that do counted work, and of what they write: the engine goes by either."""
    coupling = couple(open_model(file).graph)
    nodes = [node for node, rule in live_nodes(coupling) if rule.work]
    return {name for node in nodes for name in (node.name, *node.outputs)}


def _times(file: str) -> dict[tuple[str, str], list[float]]:
    """Microseconds of each run of each layer, by name and kind."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    with TemporaryDirectory(prefix="prunepass-") as folder, get("onnxruntime").build(file) as engine:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        feeds = random_feeds(engine.inputs)
        for _ in range(_RUNS):
            session.run(None, feeds)
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    found = defaultdict[tuple[str, str], list[float]](list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            name, kind = event["name"].removesuffix(_SUFFIX), event["args"]["op_name"]
            found[name, kind].append(event["dur"])
    return found
