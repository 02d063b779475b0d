"""Accuracy of a trained network after channels are removed, without any fine-tuning, score by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import prunepass as pp

from ._digits import Split, accuracy, digits, trained
from ._table import Options, Row, Table

_REMOVED = (10, 20, 30, 40)
_SEEDS = (0, 1, 2)
# Name in the table: score (SEED is that of the network), and whether the means of what is cut move into biases.
_METHODS: Mapping[str, tuple[str, bool]] = {
    "dfpc": ("dfpc", False),
    "dfpc, mean-normalised": ("dfpc{normalize=mean}", False),
    "l1": ("l1", False),
    "random": ("random{seed=SEED}", False),
    "variance": ("variance", False),
    "variance, per channel": ("variance{per=none}", False),
    "dfpc + compensate": ("dfpc", True),
    "l1 + compensate": ("l1", True),
    "variance + compensate": ("variance", True),
    "variance, per channel + compensate": ("variance{per=none}", True),
    "auto": ("auto", True),
}


def run(options: Options) -> Table:
    """Every method at every rate; quick: one seed, 20 and 30 %."""
    import torch

    torch.set_num_threads(1)
    split = digits()
    removed = (20, 30) if options.quick else _REMOVED
    models = {seed: trained(split, seed) for seed in (_SEEDS[:1] if options.quick else _SEEDS)}
    bases = {seed: accuracy(model, split) for seed, model in models.items()}
    rows = [
        _row(
            name,
            [curve(model, split, *_seeded(name, seed), removed) for seed, model in models.items()],
            removed,
        )
        for name in _METHODS
        if options.wants(name)
    ]
    unpruned = ", ".join(f"{value:.3f}" for value in bases.values())
    return Table(
        "Digits: accuracy after removing channels, no fine-tuning (mean of seeds, then each seed)",
        tuple(rows),
        (
            f"ResNet 16/32/64 with two blocks a stage, 336 channels in 9 groups, 12 epochs; unpruned {unpruned}.",
            "450 held-back digits: one digit is 0.2 points, the 95 % interval of one figure near .9 is +- 3 points.",
            "The lowest scores of all groups together go first, at least one channel of each group stays, as in the "
            "data-free release of DFPC (ICLR 2023).",
            "'compensate' moves the mean of what is cut, known from the batch normalisation, into biases.",
        ),
    )


def curve(
    model: Any, split: Split, score: str, compensate: bool, removed: tuple[int, ...]
) -> list[float | None]:
    """Accuracy after removing so many percent of all channels; None where the budget cannot be met."""
    return [_pruned_accuracy(model, split, score, compensate, 1 - percent / 100) for percent in removed]


def _pruned_accuracy(model: Any, split: Split, score: str, compensate: bool, kept: float) -> float | None:
    budget = f"channels={kept:g}"
    try:
        result = pp.prune(model, split.test[:2], budget=budget, score=score, compensate=compensate)
    except pp.BudgetError:
        return None
    return accuracy(result.model, split)


def _seeded(name: str, seed: int) -> tuple[str, bool]:
    score, compensate = _METHODS[name]
    return score.replace("SEED", str(seed)), compensate


def _row(name: str, curves: Sequence[list[float | None]], removed: tuple[int, ...]) -> Row:
    row: dict[str, Any] = {"score": name}
    for at, percent in enumerate(removed):
        found = [curve[at] for curve in curves]
        known = [value for value in found if value is not None]
        row[f"{percent} %"] = sum(known) / len(known) if len(known) == len(found) else None
        row[f"{percent} %, by seed"] = [None if value is None else round(value, 3) for value in found]
    return row
