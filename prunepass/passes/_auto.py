"""``auto``: try every data-free score at the budget and keep the plan whose network changed least.

What is measured is the change of the outputs, channel by channel, on inputs that no data set was needed for: layers of
overlapping discs (dead leaves, the classical model of natural images) where an input looks like an image,
normal noise elsewhere. Both networks run in float32, by the host's own operators where a driver hands them in.

A few synthetic inputs are a noisy judge (on a page classifier another score changed their outputs 2.3 times
less and lost 20 points more on labelled pages), and the first candidate is the only score that models what
the repair of the means leaves wrong: another one replaces it only where it changes the outputs four times
less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..ir import Array, BudgetError, Executor, Graph, NumpyExecutor
from . import scores
from ._plan import Plan
from .analyses import synthetic_inputs
from .coupling import Coupling, kept_axes
from .proof import Judge, OutputChange
from .rewrites import compensate, cut

AUTO = "auto"
CANDIDATES = ("variance", "dfpc", "l2", "bn_scale")
_INPUTS = 3
_CLEARLY = 0.25

Scores = Mapping[str, Array]
Opener = Callable[[Graph], Executor]


@dataclass(frozen=True)
class Choice:
    """The winning score: its name, its plan, the output change of each candidate, and its own in detail."""

    metric: str
    plan: Plan
    changes: Mapping[str, float]
    change: OutputChange


def candidates(coupling: Coupling) -> dict[str, Scores]:
    """The scores that ``auto`` chooses among."""
    return {name: scores.get(name)()(coupling) for name in CANDIDATES}


def choose(
    coupling: Coupling,
    policy: Callable[[Coupling, Scores], Plan],
    found: Mapping[str, Scores],
    executor: Opener | None = None,
) -> Choice:
    """Plan with each score, repair, cut, run, and keep the least change.

    Args:
        executor: opens what runs a graph; the reference where it is None.

    Raises:
        BudgetError: the budget cannot be met with any of them.
    """
    return choose_among(
        coupling,
        found,
        lambda metric: policy(coupling, found[metric]),
        default_judge(coupling.graph, executor),
    )


def choose_among(
    coupling: Coupling,
    metrics: Iterable[str],
    planned: Callable[[str], Plan],
    judge: Judge,
) -> Choice:
    """Choose the score whose plan, after repair, changes the outputs least.

    Args:
        metrics: names of the candidates, the first one being preferred.
        planned: the plan of a candidate.
        judge: runs a cut graph and tells how its outputs differ.

    Raises:
        BudgetError: the budget cannot be met with any of them.
    """
    graph = coupling.graph
    plans: dict[str, Plan] = {}
    tried: dict[str, OutputChange] = {}
    failure: BudgetError | None = None
    for metric in metrics:
        try:
            plans[metric] = planned(metric)
        except BudgetError as error:
            failure = error
            continue
        repaired = compensate(coupling, plans[metric]).plan
        kept = repaired.kept(coupling)
        tried[metric] = judge(
            cut(graph, repaired), {name: kept_axes(coupling, kept, name) for name in graph.freed}
        )
    if failure is not None and not plans:
        raise failure
    changes = {metric: float(change) for metric, change in tried.items()}
    metric = _winner(changes)
    return Choice(metric, plans[metric], changes, tried[metric])


def output_change(original: Graph, pruned: Graph, executor: Opener | None = None) -> float:
    """The change of outputs on the synthetic inputs of :func:`choose`: 0 is nothing, 1 is all of them.

    The share lost of the output that lost most, its channels counting alike; :func:`output_changes` tells more.
    """
    return float(output_changes(original, pruned, executor))


def output_changes(original: Graph, pruned: Graph, executor: Opener | None = None) -> OutputChange:
    """The same, output by output: the share lost of the channels in the mean, the median and at worst."""
    return default_judge(original, executor)(pruned)


def default_judge(graph: Graph, executor: Opener | None = None) -> Judge:
    """The judge over synthetic inputs; in numpy unless ``executor`` opens graphs."""
    return Judge(graph, [synthetic_inputs(graph, seed) for seed in range(_INPUTS)], executor or NumpyExecutor)


def _winner(changes: Mapping[str, float]) -> str:
    """The first candidate, unless another one changes the outputs clearly less."""
    first, least = next(iter(changes)), min(changes, key=changes.__getitem__)
    return least if changes[least] < _CLEARLY * changes[first] else first
