"""The demonstration with torch: MobileNetV2 for ImageNet, a module in and a module out, timed as ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._find import require
from ._nets import Net, Share, net_table, share_of_clusters

if TYPE_CHECKING:
    from ..cli.face import Face
    from ._photos import Photos

_INSTALL = "'make demo-torch' installs it; or pip install onnxscript 'prunepass[onnx,onnxruntime,demo]'"
_BUDGETS, _ALIGN = ("macs=0.9", "macs=0.85", "macs=0.5"), 8
_EACH, _BATCH, _SECONDS, _SHOWN = 6, 32, 4.0, 20

Predictions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Seen:
    """Predictions of one network for the labelled photos and for the crops."""

    photos: Predictions
    crops: Predictions


def run_torch(face: Face, out: str) -> None:
    """Prune, prove, export, measure, and compare with the unpruned net on real photographs."""
    for module in ("torch", "onnxscript", "onnxruntime", "PIL"):
        require(module, _INSTALL)
    from ._folder import ready_folder
    from ._mobilenet import mobilenet
    from ._photos import crops, labelled

    folder = ready_folder(out)
    model, names = mobilenet()
    (photos, classes), loose = labelled(), crops(_EACH)
    face.show("MobileNetV2 for ImageNet, trained; an nn.Module of torchvision", "")
    nets = [Net("original", model, 1.0, {}), *_prune(face, model)]
    seen = [_Seen(_predict(net.model, photos), _predict(net.model, loose)) for net in nets]
    nets = [
        replace(net, shares=_shares(found, seen[0], classes, loose))
        for net, found in zip(nets, seen, strict=True)
    ]
    nets = _measure(face, nets)
    title = f"{len(classes)} labelled photos, {len(loose.source)} crops of {len(loose.names)} photos"
    face.show("", net_table(f"{title}; ONNX Runtime, 1 thread", nets), *_verdict(nets))
    _chart(face, folder, nets, title)
    _sheet(face, folder, nets, [found.photos for found in seen], (photos, classes, names))


def _prune(face: Face, model: Any) -> list[Net]:
    import torch

    from .._prune import prune
    from ..cli.progress import progress

    example = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    nets = []
    for budget in _BUDGETS:
        with progress(face) as observer:
            result = prune(model, (example,), budget=budget, align=_ALIGN, observers=(observer,))
        report = result.report
        changes = ", ".join(f"{name} {change:.2f}" for name, change in sorted(report.changes.items()))
        face.show(f"{budget}: a {type(result.model).__name__} again; proven, {report.proof}")
        face.show(f"  auto took the score {report.score} (output change on synthetic images: {changes})")
        kept = report.after.macs / report.before.macs
        nets.append(Net(budget, result.model, kept, {}, note=f"score {report.score}"))
    return nets


def _predict(model: Any, photos: Photos) -> Predictions:
    import torch

    inputs = torch.from_numpy(photos.inputs)
    with torch.no_grad():
        parts = [model(inputs[at : at + _BATCH]).argmax(1) for at in range(0, len(inputs), _BATCH)]
    result: Predictions = torch.cat(parts).numpy()
    return result


def _shares(found: _Seen, original: _Seen, classes: Predictions, loose: Photos) -> dict[str, Share]:
    return {
        "agreement with the original": share_of_clusters(found.crops == original.crops, loose.source),
        "top-1 of the labelled": Share(int(np.sum(found.photos == classes)), len(classes)),
    }


def _measure(face: Face, nets: Sequence[Net]) -> list[Net]:
    import torch

    from ..measure import compare, to_file

    face.note(
        f"exporting {len(nets)} networks to ONNX and measuring them, interleaved, {_SECONDS:.0f} s each"
    )
    example = (torch.zeros(1, 3, 224, 224),)
    with TemporaryDirectory(prefix="prunepass-") as folder:
        files = [Path(folder) / f"{at}.onnx" for at in range(len(nets))]
        for net, file in zip(nets, files, strict=True):
            to_file(net.model, example, file)
        result = compare(files, names=[net.name for net in nets], duration=_SECONDS)
    return [replace(net, speed=speed) for net, speed in zip(nets, result.engines, strict=True)]


def _verdict(nets: Sequence[Net]) -> list[str]:
    lines = []
    for net in nets[1:]:
        agreement, speed = net.shares["agreement with the original"], net.speed
        pace = f", {speed.faster('cpu').median:.2f}x as fast" if speed else ""
        lines.append(f"{net.name}: agrees on {100 * agreement.value:.0f} % of the crops{pace}")
    why = "A compact net has little to spare: what is lost here comes back with fine-tuning, not without."
    return ["", *lines, "No image, no label and no training was used to prune.", why]


def _chart(face: Face, folder: Path, nets: Sequence[Net], title: str) -> None:
    from ._chart import draw_chart

    footer = f"{title}. ONNX Runtime, 1 thread, batch 1, interleaved. Pruned without data, not fine-tuned."
    draw_chart("MobileNetV2, pruned by prunepass", nets, footer).save(folder / "chart-torch.png")
    face.show("", f"pictures: {folder / 'chart-torch.png'}, {folder / 'photos.png'}")


def _sheet(
    face: Face,
    folder: Path,
    nets: Sequence[Net],
    said: Sequence[Predictions],
    labelled: tuple[Photos, Predictions, list[str]],
) -> None:
    from ._chart import Sample, draw_sheet

    photos, classes, names = labelled
    samples = [
        Sample(
            photos.pixels[at],
            names[classes[at]],
            [(names[found[at]], bool(found[at] == classes[at])) for found in said],
        )
        for at in range(min(_SHOWN, len(classes)))
    ]
    labels = [net.name.removeprefix("macs=") for net in nets]
    draw_sheet("Labelled photos and what each network sees", samples, labels, 5).save(folder / "photos.png")
