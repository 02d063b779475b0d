"""What pruning gains in PyTorch itself: eager and compiled; on a GPU under CUDA graphs, fp16, channels_last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import prunepass as pp
from prunepass.backends import get
from prunepass.measure import Comparison, compare

from ._candidates import gentlest, peer_cut, torch_macs
from ._clock import rounded
from ._nets import bench_network, size_of
from ._table import Options, Row, Table
from ._vision import image
from ._worker import isolated

_NETS = ("resnet50", "mobilenet_v2", "efficientnet_lite0", "densenet121", "convnext_tiny", "unet")
_QUICK = ("mobilenet_v2",)
_BUDGET, _ALIGN, _LIMIT = 0.5, 16, 1200.0
_CPU = ("torch", "torch{mode=compile}")
_HALF = "device=cuda, dtype=fp16, memory_format=channels_last"
_CUDA = (f"torch{{{_HALF}, mode=cudagraph}}", f"torch{{{_HALF}, mode=compile}}")
_DURATION, _ROUNDS = 2.0, 12


def run(options: Options) -> Table:
    """Every network in a process of its own; quick: MobileNetV2, not compiled."""
    names = _QUICK if options.quick and not options.only else tuple(filter(options.wants, _NETS))
    engines = engines_here()[: 1 if options.quick else None]
    found = [
        (name, isolated("torch_engines:timed", limit=_LIMIT, name=name, engines=engines)) for name in names
    ]
    return Table(
        "Times as fast as the original in PyTorch, at half of the multiply-accumulates",
        tuple(row for name, made in found for row in _rows(name, engines, made)),
        (
            "Time of the original over time of the pruned module, median of interleaved rounds; one thread and CPU "
            "time on a processor, wall time on a GPU (there fp16, channels_last). Batch 1, random weights, score l2.",
            f"ours: align={_ALIGN}, lowest scores wherever they are; uniform: the same fraction of every group; "
            "unaligned: ours with align=1; TP: Torch-Pruning 1.6.1 with its defaults, TP/8 with round_to=8, at the "
            "ratio that comes nearest to the budget from below.",
            "realised: times as fast times MACs kept; 1 means that the engine gained all that was cut.",
        ),
    )


def engines_here() -> list[str]:
    """The ways to run torch that this machine has."""
    import torch

    return list(_CUDA if torch.cuda.is_available() else _CPU)


def timed(name: str, engines: list[str]) -> dict[str, Any]:
    """Times as fast by engine and candidate, and what each keeps of the work."""
    given = image(size_of(name))
    modules, kept, failed = {"original": bench_network(name)}, dict[str, float](), dict[str, str]()
    before = torch_macs(modules["original"], name)
    for label, make in _MAKERS.items():
        try:
            modules[label] = make(name)
            kept[label] = torch_macs(modules[label], name) / before
        except Exception as error:  # peers raise anything; a failure is a result here
            failed[label] = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    faster = {}
    for engine in engines:
        found = compare(
            [(module, given) for module in modules.values()],
            engine,
            names=list(modules),
            duration=_DURATION,
            iterations=_ROUNDS,
        )
        faster[engine] = _figures(found)
    return {"faster": faster, "kept": kept, "failures": failed}


def _figures(found: Comparison) -> dict[str, float]:
    return {one.name: one.faster(found.clock).median for one in found.engines[1:]}


def _ours(name: str, **options: Any) -> Any:
    budget = f"macs={_BUDGET}"
    return pp.prune(bench_network(name), image(size_of(name)), budget=budget, score="l2", **options).model


def _peer(name: str, grain: int | None) -> Any:
    before = torch_macs(bench_network(name), name)

    def cut(ratio: float) -> tuple[Any, float]:
        model = peer_cut(name, ratio, grain)
        return model, torch_macs(model, name) / before

    return gentlest(cut, _BUDGET)[0]


_MAKERS = {
    "ours": lambda name: _ours(name, align=_ALIGN),
    "uniform": lambda name: _ours(name, align=_ALIGN, mode="uniform"),
    "unaligned": lambda name: _ours(name, align=1),
    "TP": lambda name: _peer(name, None),
    "TP/8": lambda name: _peer(name, 8),
}


def _rows(name: str, engines: list[str], made: dict[str, Any]) -> Iterator[Row]:
    for engine in engines:
        faster, kept = made.get("faster", {}).get(engine, {}), made.get("kept", {})
        share, mine = kept.get("ours"), faster.get("ours")
        yield {
            "network": name,
            "engine": get(engine).name,
            "MACs kept": rounded(share),
            "ours": rounded(mine),
            "realised": rounded(mine * share) if mine and share else None,
            **{label: rounded(faster.get(label)) for label in _MAKERS if label != "ours"},
            "TP/8 kept": rounded(kept.get("TP/8")),
            "notes": _notes(made),
        }


def _notes(made: dict[str, Any]) -> str:
    if "failed" in made:
        return str(made["failed"])
    return "; ".join(f"{label}: {why}" for label, why in made["failures"].items())
