"""What TensorRT-RTX makes of widths: layers, data movement and memory before and after a cut, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import prunepass as pp
from prunepass.hosts.onnx import save

from ._clock import Stopwatch, rounded
from ._half import half
from ._onnx import network_onnx
from ._table import Options, Row, Table

_NETS = ("mobilenet_v2", "resnet50")
_WIDTHS = (("uniform", 1), ("uniform", 8), ("global", 1), ("global", 8))
_TARGET = "sm89"
_MIB = 2**20


def run(options: Options) -> Table:
    """Both nets at macs=0.5 in both precisions; quick: MobileNetV2, the same fraction everywhere."""
    nets = _NETS[:1] if options.quick and not options.only else _NETS
    widths = _WIDTHS[:2] if options.quick else _WIDTHS
    with TemporaryDirectory(prefix="prunepass-") as folder:
        rows = [row for net in nets if options.wants(net) for row in _rows(net, widths, Path(folder))]
    return Table(
        f"Half of the multiply-accumulates on TensorRT-RTX, built ahead of time for {_TARGET.upper()}",
        tuple(rows),
        (
            "Structure, not speed: nothing was run. layers: steps after fusion; moves: those of them that only move "
            "data (padding, transposing, concatenating, copying).",
            "uniform takes the same fraction of every group, global the lowest scores wherever they are; batch 1, "
            "random weights, score l2, 224 x 224. float16: the cut float32 file, converted.",
            "build: seconds of CPU time of one build on a shared machine, parsing included; a rough figure.",
        ),
    )


def _rows(net: str, widths: Sequence[tuple[str, int]], folder: Path) -> Iterator[Row]:
    import onnx

    original = network_onnx(net, folder)
    yield from _both(onnx.load(original), {"network": net, "widths": "original", "MACs": 1.0})
    for mode, grain in widths:
        result = pp.prune(original, budget="macs=0.5", score="l2", align=grain, mode=mode)
        kept = result.report.after.macs / result.report.before.macs
        file = folder / f"{net}-{mode}-{grain}.onnx"
        save(result.model, file)
        label = f"{mode}, align={grain}"
        yield from _both(onnx.load(file), {"network": net, "widths": label, "MACs": round(kept, 3)})


def _both(proto: Any, row: Row) -> Iterator[Row]:
    for precision, model in (("float32", proto), ("float16", half(proto))):
        yield {**row, "precision": precision, **built(model)}


def built(model: Any) -> Row:
    """What an engine of ``model`` is made of."""
    backend, watch = pp.backends.get("tensorrt-rtx"), Stopwatch()
    with watch.stage("build"):
        engine = backend.build(model, options={"compute_capability": _TARGET})
    with engine:
        layers, memory = engine.layers(), engine.memory()
    return {
        "layers": len(layers),
        "moves": sum(layer.layout == "reorder" for layer in layers),
        "weights (MiB)": _mib(memory.weights),
        "activations (MiB)": _mib(memory.activations),
        "build (s)": rounded(watch.seconds["build"], 2),
    }


def _mib(size: int | None) -> float | None:
    return None if size is None else round(size / _MIB, 2)
