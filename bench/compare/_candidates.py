"""The same network pruned by us and by the peers, as ONNX files for several batches; each in its own process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import prunepass as pp
from prunepass.hosts.onnx import save

from ._nets import bench_network, size_of
from ._onnx import export_onnx
from ._vision import image

BATCHES = (1, 8)
_STEPS = 7


def file_of(folder: str | Path, label: str, batch: int) -> Path:
    """Where a candidate lies."""
    return Path(folder) / f"{label}-{batch}.onnx"


def original(name: str, folder: str) -> dict[str, Any]:
    """Export the network as it is."""
    model = bench_network(name)
    for batch in BATCHES:
        export_onnx(model, file_of(folder, "original", batch), batch=batch, size=size_of(name))
    return {"macs": 1.0}


def ours(
    name: str, folder: str, label: str, options: dict[str, Any], *, others: bool = True
) -> dict[str, Any]:
    """Plan on the file of batch 1, and apply the plan to the ``others``."""
    result = pp.prune(file_of(folder, "original", 1), score="l2", **options)
    save(result.model, file_of(folder, label, 1))
    for batch in BATCHES[1:] if others else ():
        given = file_of(folder, "original", batch)
        try:
            save(pp.apply(result.plan, given), file_of(folder, label, batch))
        except pp.UsageError:
            # The exporter wrote other operators for this batch: to a plan that is another model.
            save(pp.prune(given, score="l2", **options).model, file_of(folder, label, batch))
    report = result.report
    found: dict[str, Any] = {"macs": report.after.macs / report.before.macs}
    latency = getattr(report, "latency", None)
    if latency is not None:
        found["rounds"] = len(latency.rounds)
    return found


def torch_pruning(name: str, folder: str, label: str, kept: float, round_to: int | None) -> dict[str, Any]:
    """Torch-Pruning at the largest ratio of channels that leaves at most ``kept`` of the MACs."""
    before = torch_macs(bench_network(name), name)

    def cut(ratio: float) -> tuple[Any, float]:
        model = peer_cut(name, ratio, round_to)
        return model, torch_macs(model, name) / before

    model, share = gentlest(cut, kept)
    for batch in BATCHES:
        export_onnx(model, file_of(folder, label, batch), batch=batch, size=size_of(name))
    return {"macs": share}


def gentlest(cut: Callable[[float], tuple[Any, float]], kept: float) -> tuple[Any, float]:
    """What ``cut`` makes at the least ratio that leaves at most ``kept`` of the MACs, and what it leaves.

    Raises:
        ValueError: no ratio does.
    """
    low, high, best = 0.0, 1.0, None
    for _ in range(_STEPS):
        ratio = (low + high) / 2
        made = cut(ratio)
        if made[1] <= kept:
            best, high = made, ratio
        else:
            low = ratio
    if best is None:
        raise ValueError(f"no ratio leaves {kept:g} of the MACs")
    return best


def peer_cut(name: str, ratio: float, round_to: int | None) -> Any:
    import torch
    import torch_pruning as tp

    model, inputs = bench_network(name), image(size_of(name))
    heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1000]
    attention = {m: m.num_heads for m in model.modules() if isinstance(m, torch.nn.MultiheadAttention)}
    pruner = tp.pruner.MetaPruner(
        model,
        inputs,
        importance=tp.importance.MagnitudeImportance(p=2),
        pruning_ratio=ratio,
        round_to=round_to,
        num_heads=attention,
        ignored_layers=heads,
    )
    pruner.step()
    if attention and hasattr(model, "hidden_dim"):
        model.hidden_dim = model.conv_proj.out_channels
    return model


def torch_macs(model: Any, name: str) -> float:
    """Multiply-accumulates as torch counts them: quick, and the same for both sides of a share."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image(size_of(name)))
    return float(counter.get_total_flops())


def onnxsim(name: str, folder: str, label: str, kept: float) -> dict[str, Any]:
    """onnxsim's pruning of the same file at the least sparsity that leaves at most ``kept`` of the MACs."""
    import onnx
    from onnxsim import simplify
    from onnxsim.pruning import apply_structured_pruning

    simple, _ = simplify(onnx.load(file_of(folder, "original", 1)))
    before = _file_macs(simple)

    def cut(sparsity: float) -> tuple[float, float]:
        return sparsity, _file_macs(_bare(apply_structured_pruning(simple, sparsity=sparsity))) / before

    sparsity, share = gentlest(cut, kept)
    for batch in BATCHES:
        given, _ = simplify(onnx.load(file_of(folder, "original", batch)))
        onnx.save(_bare(apply_structured_pruning(given, sparsity=sparsity)), file_of(folder, label, batch))
    return {"macs": share}


def _bare(model: Any) -> Any:
    """Without the shapes that it leaves stale: an engine infers them anew."""
    del model.graph.value_info[:]
    return model


def _file_macs(model: Any) -> float:
    return float(pp.analyze(pp.capture(model)).cost.macs)
