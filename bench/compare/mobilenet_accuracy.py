"""What is left of a trained ImageNet MobileNetV2 after pruning without any data or fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import prunepass as pp
from prunepass.demo._mobilenet import mobilenet
from prunepass.demo._photos import crops, labelled

from ._table import Options, Row, Table

_KEPT = (0.95, 0.9, 0.85, 0.75, 0.5)
_CROPS_EACH = 5
# Name in the table: options of ``prune``.
_METHODS: Mapping[str, Mapping[str, Any]] = {
    "l1, uniform": {"score": "l1", "mode": "uniform", "compensate": False},
    "l1, uniform + compensate": {"score": "l1", "mode": "uniform"},
    "dfpc": {"score": "dfpc", "compensate": False},
    "dfpc + compensate": {"score": "dfpc"},
    "dfpc, mean-normalised + compensate": {"score": "dfpc{normalize=mean}"},
    "variance": {"score": "variance", "compensate": False},
    "variance + compensate": {"score": "variance"},
    "auto": {"score": "auto"},
}
_QUICK = ("l1, uniform", "variance + compensate")


def run(options: Options) -> Table:
    """Every method at every budget; quick: two methods at two budgets."""
    import torch

    torch.set_num_threads(1)
    model, _ = mobilenet()
    photos, (middles, classes) = crops(_CROPS_EACH), labelled()
    wanted, right = predictions(model, photos.inputs), predictions(model, middles.inputs) == classes
    kept = _KEPT[1:3] if options.quick else _KEPT
    rows = [
        _row(name, model, fraction, (photos.inputs, wanted), (middles.inputs, classes))
        for name in _METHODS
        if options.wants(name) and (not options.quick or name in _QUICK or options.only)
        for fraction in kept
    ]
    return Table(
        "MobileNetV2 (ImageNet weights): what is left after pruning without data and without fine-tuning",
        tuple(rows),
        (
            f"Agreement: share of {len(wanted)} random crops of {len(photos.names)} photographs on which the pruned "
            "network names the same class as the unpruned one; they are not independent, take it as +- .05.",
            f"Right: of the {len(classes)} labelled photographs; unpruned {int(right.sum())}. One is 5 points.",
            "No image takes part in pruning: scores and repair read the weights and the statistics of the batch "
            "normalisation. 'auto' also runs the candidates on one synthetic image.",
        ),
    )


def predictions(model: Any, inputs: np.ndarray[Any, Any], batch: int = 32) -> np.ndarray[Any, Any]:
    """The class that ``model`` names for each image."""
    import torch

    with torch.no_grad():
        parts = [
            model(torch.from_numpy(inputs[at : at + batch])).argmax(1) for at in range(0, len(inputs), batch)
        ]
    return torch.cat(parts).numpy()


def _row(name: str, model: Any, kept: float, crops: tuple[Any, Any], photos: tuple[Any, Any]) -> Row:
    import torch

    row: dict[str, Any] = {"score": name, "MACs wanted": kept}
    try:
        result = pp.prune(model, torch.zeros(1, 3, 224, 224), budget=f"macs={kept:g}", **_METHODS[name])
    except pp.PrunepassError as error:
        return {**row, "MACs": None, "agreement": None, "right": None, "chosen": "", "failed": str(error)}
    agreement = float(np.mean(predictions(result.model, crops[0]) == crops[1]))
    right = int(np.sum(predictions(result.model, photos[0]) == photos[1]))
    before, after = result.report.before, result.report.after
    return {
        **row,
        "MACs": round(after.macs / before.macs, 4),
        "agreement": round(agreement, 3),
        "right": right,
        "chosen": result.report.score,
        "failed": None,
    }
