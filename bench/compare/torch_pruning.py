"""Side by side with Torch-Pruning: seconds to find the groups and to remove half of all channels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from prunepass.hosts import open_model
from prunepass.passes import Select, graph_cost
from prunepass.passes.scores import L2

from ._clock import Stopwatch, medians, rounded
from ._stages import plan_and_cut
from ._table import Options, Row, Table
from ._vision import image, network
from ._worker import isolated

_NETS = ("resnet50", "mobilenet_v2", "densenet201", "convnext_tiny", "vit_b_16", "swin_t")
_QUICK = ("mobilenet_v2",)
_STAGES = ("capture", "plan", "cut", "check")
_LIMIT, _OUR_LIMIT, _REPEATS = 90.0, 300.0, 3
# Whole calls of prune: with one simple score and no repair, as the peer has it, and as they come.
_CALLS: dict[str, dict[str, Any]] = {"l2": {"score": "l2", "compensate": False}, "default": {}}


def run(options: Options) -> Table:
    """Both on every network in turn, each in a process of its own."""
    names = [
        name for name in (_QUICK if options.quick and not options.only else _NETS) if options.wants(name)
    ]
    repeats = 1 if options.quick else _REPEATS
    return Table(
        "prunepass and Torch-Pruning: half of the channels of every group, torchvision networks at 224 x 224",
        tuple(_row(name, repeats) for name in names),
        (
            "CPU seconds on one thread, medians of runs that take turns, each in a fresh process.",
            "Torch-Pruning: 'graph' is the construction of MetaPruner (dependency graph, groups), 'prune' its one "
            "step, with MagnitudeImportance(p=2), pruning_ratio 0.5, global_pruning False, the classifier ignored; "
            "for ViT with the hand recipe of its examples (num_heads given, hidden_dim set afterwards). After "
            f"{_LIMIT:.0f} CPU seconds it is stopped.",
            "prunepass: 'capture' is torch.export and reading its graph, once for any number of plans; 'plan' is "
            "couple, score (l2) and select; 'cut' makes the smaller module; 'check' runs that module once, operator by "
            "operator, and holds it against the plan, which the peer does not do. 'plans' counts how often the "
            "network's own code contradicted a plan and one more was made; their times are added.",
            "'export' is one bare torch.export.export(strict=False) of the network; 'l2' and 'default' are whole calls "
            "of prunepass.prune, capture and proof included: with score='l2' and compensate=False, and as it comes. "
            "'l2 / (export + peer)' is what the whole answer costs beside those two.",
            "'peer / ours' is graph + prune over plan + cut; 'over all' is the same over capture + plan + cut + check.",
        ),
    )


def _row(name: str, repeats: int) -> Row:
    pairs = [
        (
            isolated("torch_pruning:ours", limit=_OUR_LIMIT, name=name),
            isolated("torch_pruning:peer", limit=_LIMIT, name=name),
        )
        for _ in range(repeats)
    ]
    others = {
        stage: _middle(
            [isolated(f"torch_pruning:{stage}", limit=_OUR_LIMIT, name=name) for _ in range(repeats)]
        )
        for stage in ("export", *_CALLS)
    }
    ours, peers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    mine, theirs = _middle(ours), _middle(peers)
    after = mine["plan"] + mine["cut"] if mine else None
    whole = sum(mine[stage] for stage in _STAGES) if mine else None
    peer = theirs["graph"] + theirs["prune"] if theirs else None
    export_time, l2_time = others["export"].get("export"), others["l2"].get("l2")
    beside = None if peer is None or export_time is None else export_time + peer
    return {
        "network": name,
        **{f"{stage} (s)": rounded(mine.get(stage)) for stage in _STAGES},
        "plans": int(mine["plans"]) if mine else None,
        "peer graph (s)": rounded(theirs.get("graph")),
        "peer prune (s)": rounded(theirs.get("prune")),
        **{f"{stage} (s)": rounded(found.get(stage)) for stage, found in others.items()},
        "l2 / (export + peer)": rounded(l2_time / beside) if beside and l2_time else None,
        "peer / ours": rounded(peer / after) if peer and after else None,
        "over all": rounded(peer / whole) if peer and whole else None,
        "MACs left": rounded(mine.get("macs")),
        "peer MACs left": rounded(theirs.get("macs")),
        "ours": _verdict(ours),
        "peer": _verdict(peers),
    }


def _middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Medians where the stages of all runs were reached."""
    return medians(runs) if all("seconds" in found for found in runs) else {}


def _verdict(runs: list[dict[str, Any]]) -> str:
    return next((str(found["failed"]) for found in runs if found.get("failed")), "runs")


def ours(name: str) -> dict[str, Any]:
    """Capture, plan and cut ``name``; stage seconds, share of MACs left, number of plans it took."""
    import torch

    torch.set_num_threads(1)
    model, inputs, watch = network(name), image(), Stopwatch()
    with watch.stage("capture"):
        session = open_model(model, inputs)
    checked = _timed_check(watch)
    made = plan_and_cut(session, Select("channels=0.5", mode="uniform"), L2(), watch)
    seconds = {**watch.seconds, "cut": watch.seconds["cut"] - checked()}
    with torch.no_grad():
        made.pruned(inputs)
    left = graph_cost(made.small).macs / graph_cost(session.graph).macs
    return {**seconds, "check": checked(), "seconds": True, "macs": left, "plans": made.plans}


def export(name: str) -> dict[str, Any]:
    """One bare export of ``name``."""
    import torch

    torch.set_num_threads(1)
    model, inputs, watch = network(name), image(), Stopwatch()
    with watch.stage("export"):
        torch.export.export(model, (inputs,), strict=False)
    return {**watch.seconds, "seconds": True}


def l2(name: str) -> dict[str, Any]:
    """A whole call of prune with score l2 and without repair."""
    return _whole(name, "l2")


def default(name: str) -> dict[str, Any]:
    """A whole call of prune as it comes."""
    return _whole(name, "default")


def _whole(name: str, call: str) -> dict[str, Any]:
    import torch

    import prunepass.hosts.torch  # noqa: F401 (imported by whoever has torch models at hand)
    from prunepass import prune

    torch.set_num_threads(1)
    model, inputs, watch = network(name), image(), Stopwatch()
    with watch.stage(call):
        prune(model, inputs, **_CALLS[call])
    return {**watch.seconds, "seconds": True}


def _timed_check(watch: Stopwatch) -> Callable[[], float]:
    """Count the check that replay ends with by itself; the peer has none."""
    from prunepass.hosts.torch import _replay_module

    check = _replay_module.check_model

    def timed(*arguments: Any) -> None:
        with watch.stage("check"):
            check(*arguments)

    _replay_module.check_model = timed
    return lambda: watch.seconds.get("check", 0.0)


def peer(name: str) -> dict[str, Any]:
    """The same with Torch-Pruning; what it leaves is counted by prunepass."""
    import torch
    import torch_pruning as tp

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model, inputs, watch = network(name), image(), Stopwatch()
    before = graph_cost(open_model(model, inputs).graph).macs
    attention = {m: m.num_heads for m in model.modules() if isinstance(m, torch.nn.MultiheadAttention)}
    heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1000]
    with watch.stage("graph"):
        pruner = tp.pruner.MetaPruner(
            model,
            inputs,
            importance=tp.importance.MagnitudeImportance(p=2),
            pruning_ratio=0.5,
            global_pruning=False,
            round_to=None,
            num_heads=attention,
            ignored_layers=heads,
        )
    with watch.stage("prune"):
        pruner.step()
    found = {**watch.seconds, "seconds": True}
    if attention and hasattr(model, "hidden_dim"):
        model.hidden_dim = model.conv_proj.out_channels
    try:
        with torch.no_grad():
            model(inputs)
        return {**found, "macs": graph_cost(open_model(model, inputs).graph).macs / before}
    except Exception as error:  # whatever the pruned model stumbles over
        return {**found, "failed": f"pruned, then {type(error).__name__}: {error}"[:160]}
