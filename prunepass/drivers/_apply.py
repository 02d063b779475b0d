"""A plan applied to the model that it was made for: cut, or masked at its own size."""

from __future__ import annotations

from typing import Any

from ..hosts import open_model
from ..ir import UsageError, check_memory
from ..passes import Plan, check_masked, cut, masked_by_weights
from ._replayed import replayed


def apply(
    plan: Plan, model: Any, example_inputs: Any = None, *, form: str = "module", inplace: bool = False
) -> Any:
    """Replay ``plan`` on a fresh copy of the model it was made for; the same bytes every time.

    The outputs are held against the reference in the model's own host, as after :func:`prune`.

    Args:
        inplace: change the user's own object, all or nothing.

    Raises:
        UsageError: the plan was made for another model.
        UnsupportedError: the model's own code contradicts the plan. VerificationError: an output differs.
    """
    check_plan(plan)
    session = open_model(model, example_inputs, form=form)
    plan.check(session.graph)
    graph = plan.constrain(session.graph)
    return replayed(session, graph, cut(graph, plan), inplace=inplace)[0]


def mask(model: Any, plan: Plan, example_inputs: Any = None, *, form: str = "module") -> Any:
    """A copy of ``model`` of its own size, in which what ``plan`` removes is masked: it computes what ``apply`` gives.

    Masked is what is read: each weight that sums over a channel that goes has zeros for it, so that nothing hears of
    the channel, whatever its own filter, bias or shift makes of it. Where a sum has no weights (queries times keys),
    zeros stand in all that makes the channel. Repairs of the plan are included. Channels of outputs that the plan
    frees are still there. The outputs are held against the masked original in float64 and in the model's own host.

    Raises:
        UsageError: the plan was made for another model.
        UnsupportedError: weights alone cannot mask, as where statistics are taken over channels that go.
    """
    check_plan(plan)
    session = open_model(model, example_inputs, form=form)
    plan.check(session.graph)
    check_memory(session.graph)
    graph = plan.constrain(session.graph)
    whole = masked_by_weights(graph, plan)
    check_masked(graph, plan, whole, session.feeds())
    return replayed(session, graph, whole)[0]


def check_plan(plan: object) -> None:
    """Refuse what is no plan, as a path of one."""
    if not isinstance(plan, Plan):
        raise UsageError(f"a {type(plan).__name__} is no plan", advice="read one with Plan.load(path)")
