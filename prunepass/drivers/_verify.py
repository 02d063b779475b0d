"""The proof of a pruned model against its original and a plan."""

from __future__ import annotations

from typing import Any

from ..hosts import Session, open_model
from ..ir import Graph, ModelError, UsageError, VerificationError, check_memory
from ..passes import Plan, Proof, cut, prove, with_tuned
from ._apply import check_plan
from ._host_check import host_check, run_once


def verify(original: Any, pruned: Any, plan: Plan, inputs: Any = None, *, weights: str = "plan") -> Proof:
    """Prove ``pruned(x) == masked(x)``: every value of the graph in float64, the outputs in the host.

    Args:
        inputs: example inputs as for :func:`prune`; torch models need them.
        weights: ``plan``: ``pruned`` holds what the plan leaves of the original's; ``tuned``: it was trained since.
            Its weights are put back into the original, where what was cut keeps its own.

    Raises:
        VerificationError: naming the first differing value.
        UsageError: the plan was made for another model.
    """
    check_plan(plan)
    if weights not in ("plan", "tuned"):
        raise UsageError(f"weights are 'plan' or 'tuned', not {weights!r}", advice="help(prunepass.verify)")
    session = open_model(original, inputs, form="graph")
    plan.check(session.graph)
    check_memory(session.graph)
    graph = plan.constrain(session.graph)
    if weights == "tuned":
        graph, plan = with_tuned(graph, plan, _trained(session, pruned, inputs))
    small = cut(graph, plan)
    given = session.feeds()
    proof = prove(graph, small, plan, given, perturb=False)
    if given is not None:
        random = prove(graph, small, plan)
        proof = max(proof, random, key=lambda found: found.worst)
    host_check(session, pruned, small)
    return proof


def _trained(session: Session, pruned: Any, inputs: Any) -> Graph:
    """The graph of a model that was trained; what does not run or cannot be captured is not what was pruned."""
    run_once(session, pruned)
    try:
        return open_model(pruned, inputs, form="graph").graph
    except ModelError as error:
        raise VerificationError(
            f"the tuned model cannot be captured: {error.what}", where=error.where
        ) from error
