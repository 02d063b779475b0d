"""Accuracy after a cut and each repair of it, on one and the same plan, without labels or fine-tuning."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zlib import crc32

import numpy as np

import prunepass as pp

from ._folding import Fold
from ._grail import Grail
from ._subjects import SUBJECTS, Subject
from ._table import Options, Row, Table

Array = np.ndarray[Any, Any]
_BATCH, _DRAWS = 16, 2000
_COUNTS = (0, 64, 256)
_NO_DATA = ("none", "compensate")


def repairs(count: int) -> Mapping[str, Any]:
    """Repairs by name in the table, for so many unlabelled inputs."""
    from prunepass.passes import passes

    made: dict[str, Any] = {"none": "none", "compensate": "compensate", "fold": Fold(count)}
    made |= {"grail": Grail(min(count, 128) or 128)} if count else {}
    made |= {"reconstruct": passes()["reconstruct"](count=count or 64)}
    return {name: repair for name, repair in made.items() if not count or name not in _NO_DATA}


def run(options: Options) -> Table:
    """Every repair of every network; quick: one seed, one budget, without data and with 64 inputs.

    With a folder of work, rows found there are taken over, and each new one is written as it comes.
    """
    import torch

    torch.set_num_threads(1)
    store = None if options.work is None else options.work / "repair.json"
    known = json.loads(store.read_text("utf-8")) if store is not None and store.exists() else {}
    for name, (make, seeds) in SUBJECTS.items():
        for seed in (seeds[:1] if options.quick else seeds) if options.wants(name) else ():
            for key, row in rows_of(name, seed, make, known, quick=options.quick):
                known[key] = row
                if store is not None:
                    store.parent.mkdir(parents=True, exist_ok=True)
                    store.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return Table(
        "Repairs of one and the same cut: quality without labels and without fine-tuning",
        tuple(known.values()),
        (
            "One plan for each network and budget (score variance, no repair); every repair starts from it.",
            "Quality: share of test inputs named rightly; of the detector the mean average precision at an overlap "
            "of .5; of MobileNetV2 the agreement with the unpruned network, which has no labels here.",
            "'grail' takes 128 inputs at most, as its paper does. Rows without data: "
            "'reconstruct' on procedural inputs.",
            "Interval: 95 %, bootstrap over test inputs, over photos where crops share them.",
            "'fold' (Model Folding) and 'grail' are reconstructed on our graph from their descriptions.",
            "Agreement: share of the unpruned network's decisions kept; of the detector, overlap of its map > .3.",
        ),
    )


def rows_of(
    name: str, seed: int, make: Callable[[int], Subject], known: Mapping[str, Row], *, quick: bool = False
) -> Iterator[tuple[str, Row]]:
    """New rows of one network, each under its key."""
    subject: Subject | None = None
    for count in _COUNTS[:2] if quick else _COUNTS:
        for repair, how in repairs(count).items():
            subject = subject or make(seed)
            for budget in subject.budgets[:1] if quick else subject.budgets:
                key = f"{name} | {seed} | {budget} | {repair} | {count}"
                if key not in known:
                    named = {
                        "network": name,
                        "seed": seed,
                        "budget": budget,
                        "repair": repair,
                        "inputs": count,
                    }
                    yield key, {**named, **row_of(subject, budget, how, count)}


def row_of(subject: Subject, budget: str, repair: Any, count: int) -> Row:
    """What a network does after one cut and one repair."""
    task = pp.Task(data=_batches(subject, count)) if count else None
    began = time.process_time()
    given = {**subject.options, "score": "variance", "repair": repair, "task": task}
    try:
        result = pp.prune(subject.model, subject.example, budget=budget, **given)
    except pp.PrunepassError as error:
        return {**dict.fromkeys(_FIGURES), "failed": str(error).splitlines()[0]}
    took = time.process_time() - began
    return {**_figures(subject, result), "seconds": round(took, 1), "failed": None}


_FIGURES = ("MACs", "unpruned", "quality", "low", "high", "agreement", "plan", "seconds")


def _figures(subject: Subject, result: Any) -> dict[str, Any]:
    before, after = subject.unpruned, subject.seen(result.model)
    low, high = (None, None) if subject.score else interval(after.hits, subject.clusters)
    macs = result.report.after.macs / result.report.before.macs
    return {
        "MACs": round(macs, 4),
        "unpruned": round(before.quality, 4),
        "quality": round(after.quality, 4),
        "low": low,
        "high": high,
        "agreement": round(agreement(before.decisions, after.decisions), 4),
        "plan": f"{crc32(repr(sorted((n, c.remove) for n, c in result.plan.cuts.items())).encode()):08x}",
    }


def _batches(subject: Subject, count: int) -> list[Any]:
    """Batches as the host takes them; a file is captured with one sample."""
    if subject.example is None:
        return [subject.inputs[at : at + 1] for at in range(min(count, len(subject.inputs)))]
    import torch

    return list(torch.from_numpy(subject.inputs[:count]).split(_BATCH))


def agreement(before: Array, after: Array) -> float:
    """Share of classes that stay; of maps of marks the overlap of those before and after."""
    if before.dtype == bool:
        return float((before & after).sum() / max((before | after).sum(), 1))
    return float(np.mean(before == after))


def interval(hits: Array, clusters: Array | None) -> tuple[float, float]:
    """95 % of the shares of hits when clusters are drawn anew, each input one of its own where None."""
    where = np.arange(len(hits)) if clusters is None else clusters
    sizes, right = np.bincount(where), np.bincount(where, weights=hits)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (_DRAWS, len(sizes)))
    low, high = np.percentile(right[drawn].sum(1) / sizes[drawn].sum(1), (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)
