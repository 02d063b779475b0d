"""What the grain of widths is worth on an engine: the same budget, channel counts in multiples of 1, 4, 8, 16."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import prunepass as pp
from prunepass.hosts.onnx import load, save
from prunepass.measure import Comparison, compare

from ._onnx import network_onnx
from ._table import Options, Row, Table

_NETS = ("mobilenet_v2", "efficientnet_b0", "resnet50")
_GRAINS = (1, 4, 8, 16)
_MODES = ("uniform", "global")
_DURATION = 5.0
_ENGINES = ("onnxruntime", "openvino")


def run(options: Options) -> Table:
    """Every net at every grain at macs=0.5; quick: MobileNetV2 at 1 and 8."""
    nets = _NETS[:1] if options.quick and not options.only else _NETS
    grains = (1, 8) if options.quick else _GRAINS
    with TemporaryDirectory(prefix="prunepass-") as folder:
        rows = [row for net in nets if options.wants(net) for row in _rows(net, grains, Path(folder))]
    return Table(
        "Half of the multiply-accumulates on ONNX Runtime and OpenVINO, by grain of the channel counts",
        tuple(rows),
        (
            "faster: time of the original over time of the cut network, median of interleaved rounds, with the "
            "10th and 90th percentile; batch 1, one thread, random weights, score l2, 224 x 224.",
            "uniform takes the same fraction of every group, global the lowest scores wherever they are.",
            "Below 1 the cut network is slower than the original.",
        ),
    )


def _rows(net: str, grains: tuple[int, ...], folder: Path) -> Iterator[Row]:
    original = network_onnx(net, folder)
    files, kept = [original], [1.0]
    chosen = [(mode, grain) for mode in _MODES for grain in grains]
    for mode, grain in chosen:
        result = pp.prune(original, budget="macs=0.5", score="l2", align=grain, mode=mode)
        files.append(folder / f"{net}-{mode}-{grain}.onnx")
        save(result.model, files[-1])
        kept.append(result.report.after.macs / result.report.before.macs)
    labels = ["original", *(f"{mode}, align={grain}" for mode, grain in chosen)]
    for engine in _ENGINES:
        timed = compare([load(file) for file in files], engine, names=labels, duration=_DURATION)
        yield from _figures(net, engine, kept, timed)


def _figures(net: str, name: str, kept: list[float], timed: Comparison) -> Iterator[Row]:
    for share, engine in zip(kept, timed.engines, strict=True):
        cpu, wall = engine.faster("cpu"), engine.faster("wall")
        yield {
            "network": net,
            "engine": name,
            "widths": engine.name,
            "MACs": round(share, 3),
            "faster (CPU time)": round(cpu.median, 3),
            "p10-p90": f"{cpu.p10:.2f}-{cpu.p90:.2f}",
            "faster (wall)": round(wall.median, 3),
            "ms (CPU, median)": round(engine.cpu.median, 2),
        }
