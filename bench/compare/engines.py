"""What pruning gains on the clock: ours, unaligned, and the peers' networks of the same work, on two engines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prunepass.measure import Comparison, compare

from ._ahead import explained
from ._candidates import file_of
from ._clock import rounded
from ._kept import Kept
from ._profile import work_and_rest
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
_DURATION, _ROUNDS = 1.0, {1: 12, 8: 6}


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
    with TemporaryDirectory(prefix="prunepass-") as folder:
        work = options.work or Path(folder)
        rows = [row for name in names for row in _Network(name, work / name, options.quick).rows()]
    return Table(
        "Times as fast as the original: prunepass, and Torch-Pruning and onnxsim at the same multiply-accumulates",
        tuple(rows),
        (
            "Time of the original over time of the pruned network, median of interleaved rounds of all candidates "
            "of a row; CPU time at one thread, wall time at two. Random weights, score l2; detector 320 x 320, "
            "U-Net 128 x 128, others 224 x 224. The original is 1.",
            "ours: target of the engine, lowest scores wherever they are; uniform: the same fraction of every group, "
            "as the peers cut; unaligned: ours with align=1; TP: Torch-Pruning 1.6.1 with its defaults, TP/8 with "
            "round_to=8; onnxsim 0.8.1 on the same file. Peers at the ratio that comes nearest to the budget from "
            "below, which may end well below it (the columns 'kept'). "
            "'-': it failed, ran too long, or cannot get there; 'notes' say why.",
            "realised: times as fast times MACs kept; 1 means that the engine gained all that was cut. "
            "work, rest: time that stays in layers that do counted work, and in all others (activations, joins, "
            "changes of layout), from a profile of ONNX Runtime; rest of: the share of these others in the "
            "original's time. What moves data shrinks with the width, counted work with its square.",
            "notes: every peer that is faster than ours, with what it keeps of the work where that is less. With "
            "random weights it is an accident which groups the lowest scores empty; 'ahead by' is measured against "
            "the better of ours and uniform.",
            "budget latency: the engine takes at most this fraction of the original's time, searched and measured "
            "on that engine at one thread; 'ours' is measured once more here.",
        ),
    )


class _Network:
    """The rows of one network; what it makes lies in ``folder``."""

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        self.name, self.folder, self.quick = name, folder, quick
        self.kept = Kept(folder)

    def rows(self) -> Iterator[Row]:
        made = self.made("original", _LIMIT)
        if "failed" in made:
            yield _row_of(self.name, _PLAIN[0], "", {"ours": made}, None)
            return
        for kept in (_HALF,) if self.quick else _MACS:
            yield from self.at_work(kept)
        for kept in () if self.quick else _LATENCY:
            for setting in _PLAIN:
                budget, label = f"latency={kept}", f"latency-{kept}-{setting.engine}"
                self.ours(label, setting, {"budget": budget, "backend": setting.engine})
                yield self.row(setting, budget, {"ours": label})

    def at_work(self, kept: float) -> Iterator[Row]:
        """All candidates that keep ``kept`` of the work, on each setting."""
        budget = f"macs={kept}"
        for setting in _PLAIN:
            self.ours(f"ours-{kept}-{setting.engine}", setting, {"budget": budget})
            self.ours(f"uniform-{kept}-{setting.engine}", setting, {"budget": budget, "mode": "uniform"})
        same = {name: f"{name}-{kept}" for name in ("unaligned", "TP", "TP8", "onnxsim")}
        self.made("ours", _LIMIT, label=same["unaligned"], options={"budget": budget, "align": 1})
        for label, grain in (("TP", None), ("TP8", 8)):
            self.made("torch_pruning", _PEER_LIMIT, label=same[label], kept=kept, round_to=grain)
        self.made("onnxsim", _PEER_LIMIT, label=same["onnxsim"], kept=kept)
        for setting in (*_PLAIN, *(_OTHERS if kept == _HALF and not self.quick else ())):
            mine = {label: f"{label}-{kept}-{setting.engine}" for label in ("ours", "uniform")}
            yield self.row(setting, budget, {**mine, **same})

    def made(self, function: str, limit: float, **arguments: Any) -> dict[str, Any]:
        """What a candidate's maker says, in a process of its own."""
        label = arguments.get("label", function)
        given = {"name": self.name, "folder": str(self.folder), **arguments}
        return self.kept(label, lambda: isolated(f"_candidates:{function}", limit=limit, **given))

    def ours(self, label: str, setting: _Setting, options: dict[str, Any]) -> dict[str, Any]:
        options = {**options, "target": _TARGETS[setting.engine]}
        # A budget on latency is met, and looked at, at the batch that it was searched at.
        others = "backend" not in options
        return self.made("ours", _LIMIT, label=label, options=options, others=others)

    def row(self, setting: _Setting, budget: str, files: Mapping[str, str]) -> Row:
        """One row, of the candidates that could be made."""
        found = {label: self.kept(file, dict) for label, file in files.items()}
        name = f"row-{budget}-{setting.engine}-{setting.threads}-{setting.batch}"
        return explained(self.kept(name, lambda: self.timed(setting, budget, files, found)), found)

    def timed(
        self, setting: _Setting, budget: str, files: Mapping[str, str], found: Mapping[str, dict[str, Any]]
    ) -> Row:
        labels = [label for label, made in found.items() if "failed" not in made]
        paths = [file_of(self.folder, files[label], setting.batch) for label in labels]
        original = file_of(self.folder, "original", setting.batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            timed = compare(
                [original, *paths],
                setting.engine,
                names=["original", *labels],
                threads=setting.threads,
                duration=_DURATION,
                iterations=_ROUNDS[setting.batch],
            )
        row = _row_of(self.name, setting, budget, found, timed)
        return {**row, **_shares(str(original), str(paths[0]) if "ours" in labels else "", setting)}


def _shares(original: str, ours: str, setting: _Setting) -> dict[str, float | None]:
    """Time that stays in layers of counted work and in the others, where the engine can tell."""
    if not ours or setting != _PLAIN[0]:
        return dict.fromkeys(("work", "rest", "rest of"))
    before, after = work_and_rest(original), work_and_rest(ours)
    return {
        **{kind: rounded(after[kind] / before[kind]) if before[kind] else None for kind in before},
        "rest of": rounded(before["rest"] / sum(before.values())),
    }


def _row_of(
    name: str, setting: _Setting, budget: str, found: Mapping[str, dict[str, Any]], timed: Comparison | None
) -> Row:
    def faster(label: str) -> float | None:
        if timed is None or label not in {engine.name for engine in timed.engines}:
            return None
        return rounded(timed[label].faster("cpu" if setting.clock == "cpu" else "wall").median)

    def kept_by(label: str) -> float | None:
        return rounded(found.get(label, {}).get("macs"))

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
        **dict.fromkeys(("work", "rest", "rest of")),
        "uniform": faster("uniform"),
        "unaligned": faster("unaligned"),
        "TP": faster("TP"),
        "TP/8": faster("TP8"),
        "TP/8 kept": kept_by("TP8"),
        "onnxsim": faster("onnxsim"),
        "onnxsim kept": kept_by("onnxsim"),
        "notes": "; ".join(f"{label}: {made['failed']}" for label, made in found.items() if "failed" in made),
    }
