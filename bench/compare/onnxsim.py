"""Side by side with onnxsim's structured pruning: what is left of the same ONNX files at half of the channels."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np

import prunepass as pp
from prunepass.ir import Index, positions
from prunepass.passes import Select
from prunepass.passes._standard import Cut, Score

from ._clock import rounded
from ._onnx import agrees, difference, network_onnx, outputs
from ._table import Options, Row, Table
from ._vision import image, network
from ._worker import isolated

_NETS = (
    "resnet18",
    "resnet50",
    "densenet121",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "vit_b_32",
    "swin_t",
)
_QUICK = ("resnet18",)
_LIMIT = 600.0
_BUDGET = {"budget": "channels=0.5", "mode": "uniform", "score": "l2", "compensate": False}


def run(options: Options) -> Table:
    """Every network in a process of its own for each of the three ways."""
    names = [
        name for name in (_QUICK if options.quick and not options.only else _NETS) if options.wants(name)
    ]
    return Table(
        "prunepass and onnxsim 0.8.1 on the same ONNX files: times that MACs are cut at half of the channels, by l2",
        tuple(_row(name) for name in names),
        (
            "Files by torch.onnx.export(dynamo=True), torchvision networks with random weights, 224 x 224.",
            "Multiply-accumulates of all three are counted by prunepass on the pruned model.",
            "'error' of prunepass: pruned file against the masked original, worst output, in the host's float32; all "
            "values were also proven equal in float64. 'dead' columns: in a copy of the file half of the channels of "
            "every group that no normalisation takes statistics of are made dead (all their weights zero); pruning "
            "half by magnitude must then not move the outputs of ONNX Runtime: their relative difference.",
            "Where a network has LayerNorm over its channels, cutting them changes the function by definition; the "
            "dead-channel test is then done with those groups kept.",
        ),
    )


def _row(name: str) -> Row:
    onnx = isolated("onnxsim:through_onnx", limit=_LIMIT, name=name)
    torch = isolated("onnxsim:through_torch", limit=_LIMIT, name=name)
    peer = isolated("onnxsim:peer", limit=_LIMIT, name=name)
    return {
        "network": name,
        "ONNX: MACs cut": _times(onnx),
        "torch: MACs cut": _times(torch),
        "onnxsim: MACs cut": _times(peer),
        "ONNX: error": rounded(onnx.get("error"), 2),
        "torch: error": rounded(torch.get("error"), 2),
        "ONNX: dead": rounded(onnx.get("dead"), 2),
        "onnxsim: dead": rounded(peer.get("dead"), 2),
        "ONNX: seconds": rounded(onnx.get("seconds")),
        "onnxsim: seconds": rounded(peer.get("seconds")),
        "verdict": "; ".join(
            _verdict(*pair) for pair in (("ONNX", onnx), ("torch", torch), ("onnxsim", peer))
        ),
    }


def _times(found: dict[str, Any]) -> float | None:
    return rounded(found["before"] / found["after"]) if "after" in found else None


def _verdict(way: str, found: dict[str, Any]) -> str:
    if "failed" in found:
        return f"{way}: {found['failed']}"
    wrong = "dead" in found and not agrees(found["dead"])
    return f"{way}: {'WRONG outputs' if wrong else 'right'}"


def through_onnx(name: str) -> dict[str, Any]:
    """Prune the ONNX file; the proof and the dead-channel test."""
    with TemporaryDirectory() as folder:
        path = network_onnx(name, Path(folder))
        start = process_time()
        result = pp.prune(path, **_BUDGET)
        seconds = process_time() - start
        dead, ratios = with_dead_channels(path, Path(folder))
        pruned = Path(folder) / "pruned.onnx"
        select = Select(budget="channels=1", ratios=ratios)
        _write(pp.prune(dead, pipeline=[Score("l2"), select, Cut()]).model, pruned)
        error = difference(outputs(pruned, feeds()), outputs(dead, feeds()))
    return {**_cost(result), "seconds": seconds, "dead": error}


def through_torch(name: str) -> dict[str, Any]:
    """Prune the torch module, which stays an ordinary module."""
    return _cost(pp.prune(network(name), image(), **_BUDGET))


def peer(name: str) -> dict[str, Any]:
    """The same file through onnxsim, simplified first as its users do, and the dead-channel test."""
    with TemporaryDirectory() as folder:
        path, pruned = network_onnx(name, Path(folder)), Path(folder) / "pruned.onnx"
        seconds = _prune_with_peer(path, pruned)
        before, after = (pp.analyze(pp.capture(file)).cost.macs for file in (path, pruned))
        dead, _ = with_dead_channels(path, Path(folder))
        _prune_with_peer(dead, pruned)
        error = difference(outputs(pruned, feeds()), outputs(dead, feeds()))
    return {"before": before, "after": after, "seconds": seconds, "dead": error}


def _prune_with_peer(path: Path, pruned: Path) -> float:
    """Seconds of the pruning itself. Shapes that it leaves stale are dropped: an engine infers them anew."""
    import onnx
    import onnxsim
    from onnxsim.pruning import apply_structured_pruning

    simple, _ = onnxsim.simplify(onnx.load(path))
    start = process_time()
    small = apply_structured_pruning(simple, sparsity=0.5)
    seconds = process_time() - start
    del small.graph.value_info[:]
    onnx.save(small, pruned)
    return seconds


def feeds() -> dict[str, Any]:
    """The input of every network here, by the name that torch's exporter gives it."""
    return {"x": image().numpy()}


def _cost(result: pp.Result) -> dict[str, Any]:
    report = result.report
    assert report.host is not None
    return {"before": report.before.macs, "after": report.after.macs, "error": report.host.worst}


def _write(model: Any, path: Path) -> None:
    import onnx_ir

    onnx_ir.save(model, path)


def with_dead_channels(path: Path, folder: Path) -> tuple[Path, dict[str, float]]:
    """A copy of the file in which the second half of every group is dead, and what to keep of each group.

    Groups that statistics are taken of or that an index table makes stay alive and whole. So do ones and zeros
    of a normalisation: exporters write equal ones once, and half dead they would tie those that share them.
    """
    import onnx_ir

    model = onnx_ir.load(path)
    weights = {name: value.const_value.numpy().copy() for name, value in model.graph.initializers.items()}
    coupling, ratios = pp.analyze(pp.capture(path)).coupling, dict[str, float]()
    for group in coupling.prunable:
        makers = [m for m in group.members if m.tensor in weights and m.role != "contracted"]
        whole = group.inexact or any(weights[member.tensor].dtype.kind != "f" for member in makers)
        ratios[group.name] = 1.0 if whole else 0.5
        for member in () if whole or group.atom is None else makers:
            if np.ptp(weights[member.tensor]) == 0:
                continue
            places = positions(coupling.dims[member.tensor][member.axis])[group.atom]
            _silence(weights[member.tensor], member.axis, places, group.size // 2)
    for name, data in weights.items():
        model.graph.initializers[name].const_value = onnx_ir.tensor(data, name=name)
    dead = folder / "dead.onnx"
    onnx_ir.save(model, dead)
    return dead, ratios


def _silence(data: np.ndarray[Any, Any], axis: int, places: list[tuple[Index, Index]], alive: int) -> None:
    """Zero the entries along ``axis`` that belong to channels from ``alive`` on."""
    rows = np.moveaxis(data, axis, 0)
    for entry, channel in places:
        rows[entry[channel >= alive]] = 0
