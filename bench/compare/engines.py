"""What pruning gains on the clock: ours, unaligned, and the peers' networks of the same work, on two engines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from prunepass.measure import Comparison, compare

from ._candidates import file_of
from ._clock import rounded
from ._table import Options, Row, Table
from ._worker import isolated

_NETS = (
    "resnet50",
    "mobilenet_v2",
    "efficientnet_lite0",
    "densenet121",
    "convnext_tiny",
    "vit_b_16",
    "yolo",
    "unet",
)
_QUICK = ("mobilenet_v2",)
_MACS, _LATENCY = (0.7, 0.5, 0.3), (0.7, 0.5)
_TARGETS = {"onnxruntime": "onnxruntime-x86", "openvino": "openvino-x86"}
_LIMIT, _PEER_LIMIT, _HALF = 900.0, 240.0, 0.5
_DURATION, _ROUNDS = 1.5, {1: 10, 8: 5}


@dataclass(frozen=True)
class _Setting:
    """One way to run an engine."""

    engine: str
    threads: int = 1
    batch: int = 1

    @property
    def clock(self) -> str:
        return "cpu" if self.threads == 1 else "wall"


_PLAIN = tuple(_Setting(engine) for engine in _TARGETS)
# Threads and batches are tried at half of the work only: the whole grid takes most of a day.
_OTHERS = tuple(
    _Setting(engine, threads, batch) for engine in _TARGETS for threads, batch in ((2, 1), (1, 8), (2, 8))
)


def run(options: Options) -> Table:
    """All networks; quick: MobileNetV2 at half of its work, one thread."""
    names = [name for name in _NETS if options.wants(name)]
    if options.quick and not options.only:
        names = list(_QUICK)
    rows = [row for name in names for row in _network_rows(name, quick=options.quick)]
    return Table(
        "Times as fast as the original: prunepass, and Torch-Pruning and onnxsim at the same multiply-accumulates",
        tuple(rows),
        (
            "Time of the original over time of the pruned network, median of interleaved rounds of all candidates "
            "of a row; CPU time at one thread, wall time at two. Random weights, score l2; detector 320 x 320, "
            "U-Net 128 x 128, others 224 x 224. The original is 1.",
            "ours: target of the engine; unaligned: the same with align=1; TP: Torch-Pruning 1.6.1 with its "
            "defaults, TP/8 with round_to=8; onnxsim 0.8.1 on the same file. Peers at the ratio that comes nearest "
            "to the budget from below; round_to=8 may end well below it ('TP/8 kept'). "
            "'-': it failed, ran too long, or cannot get there; 'notes' say why.",
            "realised: times as fast times MACs kept; 1 means that the engine gained all that was cut.",
            "budget latency: the engine takes at most this fraction of the original's time, searched and measured "
            "on that engine at one thread; 'ours' is measured once more here.",
        ),
    )


def _network_rows(name: str, *, quick: bool) -> Iterator[Row]:
    with TemporaryDirectory(prefix="prunepass-") as folder:
        made = isolated("_candidates:original", limit=_LIMIT, name=name, folder=folder)
        if "failed" in made:
            yield _row(name, _PLAIN[0], "", {"ours": made}, None)
            return
        for kept in (_HALF,) if quick else _MACS:
            yield from _work_rows(name, folder, kept, quick=quick)
        for kept in () if quick else _LATENCY:
            for setting in _PLAIN:
                options = {"budget": f"latency={kept}", "backend": setting.engine}
                found = {"ours": _ours(name, folder, f"latency-{setting.engine}", setting, options)}
                yield _timed(
                    name, folder, setting, f"latency={kept}", found, {"ours": f"latency-{setting.engine}"}
                )


def _work_rows(name: str, folder: str, kept: float, *, quick: bool) -> Iterator[Row]:
    budget, found = f"macs={kept}", dict[str, dict[str, Any]]()
    for setting in _PLAIN:
        found[f"ours-{setting.engine}"] = _ours(
            name, folder, f"ours-{setting.engine}", setting, {"budget": budget}
        )
    arguments = {"name": name, "folder": folder}
    found["unaligned"] = isolated(
        "_candidates:ours",
        limit=_LIMIT,
        **arguments,
        label="unaligned",
        options={"budget": budget, "align": 1},
    )
    for label, grain in (("TP", None), ("TP8", 8)):
        found[label] = isolated(
            "_candidates:torch_pruning",
            limit=_PEER_LIMIT,
            **arguments,
            label=label,
            kept=kept,
            round_to=grain,
        )
    found["onnxsim"] = isolated(
        "_candidates:onnxsim", limit=_PEER_LIMIT, **arguments, label="onnxsim", kept=kept
    )
    for setting in (*_PLAIN, *(_OTHERS if kept == _HALF and not quick else ())):
        files = {
            "ours": f"ours-{setting.engine}",
            **{label: label for label in ("unaligned", "TP", "TP8", "onnxsim")},
        }
        row = {label: found[file] for label, file in files.items()}
        yield _timed(name, folder, setting, budget, row, files)


def _ours(name: str, folder: str, label: str, setting: _Setting, options: dict[str, Any]) -> dict[str, Any]:
    options = {**options, "target": _TARGETS[setting.engine]}
    return isolated("_candidates:ours", limit=_LIMIT, name=name, folder=folder, label=label, options=options)


def _timed(
    name: str,
    folder: str,
    setting: _Setting,
    budget: str,
    found: dict[str, dict[str, Any]],
    files: dict[str, str],
) -> Row:
    labels = [label for label, made in found.items() if "failed" not in made]
    paths = [file_of(folder, files[label], setting.batch) for label in labels]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timed = compare(
            [file_of(folder, "original", setting.batch), *paths],
            setting.engine,
            names=["original", *labels],
            threads=setting.threads,
            duration=_DURATION,
            iterations=_ROUNDS[setting.batch],
        )
    return _row(name, setting, budget, found, timed)


def _row(
    name: str, setting: _Setting, budget: str, found: dict[str, dict[str, Any]], timed: Comparison | None
) -> Row:
    def faster(label: str) -> float | None:
        if timed is None or label not in {engine.name for engine in timed.engines}:
            return None
        return rounded(timed[label].faster("cpu" if setting.clock == "cpu" else "wall").median)

    mine, kept = faster("ours"), found["ours"].get("macs")
    return {
        "network": name,
        "engine": setting.engine,
        "threads": setting.threads,
        "batch": setting.batch,
        "budget": budget,
        "MACs kept": rounded(kept),
        "ours": mine,
        "realised": rounded(mine * kept) if mine and kept else None,
        "unaligned": faster("unaligned"),
        "TP": faster("TP"),
        "TP/8": faster("TP8"),
        "TP/8 kept": rounded(found.get("TP8", {}).get("macs")),
        "onnxsim": faster("onnxsim"),
        "notes": "; ".join(f"{label}: {made['failed']}" for label, made in found.items() if "failed" in made),
    }
