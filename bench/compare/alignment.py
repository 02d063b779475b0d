"""What the grain of widths is worth on an engine: the same budget, channel counts in multiples of 1, 4, 8, ..."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import prunepass as pp
from prunepass.hosts.onnx import load, save
from prunepass.measure import Comparison, compare

from ._codes import quantised
from ._onnx import network_onnx
from ._table import Options, Row, Table

_MODES = ("uniform", "global")
_QUICK = (1, 8)
_DURATION = 5.0
_ENGINES = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class _Net:
    """A network, in 8-bit codes or not, and the grains that are tried on it."""

    name: str
    codes: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}, 8 bits" if self.codes else self.name

    @property
    def grains(self) -> tuple[int, ...]:
        return (1, 8, 16, 32, 64) if self.codes else (1, 4, 8, 16)

    def file(self, folder: Path) -> Path:
        whole = network_onnx(self.name, folder)
        return quantised(whole, folder / f"{self.name}-codes.onnx") if self.codes else whole


_FLOAT = tuple(map(_Net, ("mobilenet_v2", "efficientnet_b0", "resnet50")))
_CODES = tuple(_Net(name, codes=True) for name in ("mobilenet_v2", "resnet50"))


def run(options: Options) -> Table:
    """Every net at every grain at macs=0.5; quick: MobileNetV2 at 1 and 8."""
    nets = _FLOAT[:1] if options.quick and not options.only else (*_FLOAT, *_CODES)
    with TemporaryDirectory(prefix="prunepass-") as folder:
        rows = [
            row
            for net in nets
            if options.wants(net.name)
            for row in _rows(net, _QUICK if options.quick else net.grains, Path(folder))
        ]
    return Table(
        "Half of the multiply-accumulates on ONNX Runtime and OpenVINO, by grain of the channel counts",
        tuple(rows),
        (
            "faster: time of the original over time of the cut network, median of interleaved rounds, with the "
            "10th and 90th percentile; batch 1, one thread, random weights, score l2, 224 x 224.",
            "uniform takes the same fraction of every group, global the lowest scores wherever they are.",
            "Below 1 the cut network is slower than the original.",
            "8 bits: QDQ form by ONNX Runtime's quantize_static, weights by channel; the original is quantised too.",
        ),
    )


def _rows(net: _Net, grains: tuple[int, ...], folder: Path) -> Iterator[Row]:
    original = net.file(folder)
    files, kept = [original], [1.0]
    chosen = [(mode, grain) for mode in _MODES for grain in grains]
    for mode, grain in chosen:
        result = pp.prune(original, budget="macs=0.5", score="l2", align=grain, mode=mode)
        files.append(folder / f"{original.stem}-{mode}-{grain}.onnx")
        save(result.model, files[-1])
        kept.append(result.report.after.macs / result.report.before.macs)
    labels = ["original", *(f"{mode}, align={grain}" for mode, grain in chosen)]
    for engine in _ENGINES:
        timed = compare([load(file) for file in files], engine, names=labels, duration=_DURATION)
        yield from _figures(net.label, engine, kept, timed)


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
