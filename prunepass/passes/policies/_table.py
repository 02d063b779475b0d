"""The table of policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ...ir import Table, UsageError, configurable
from .._options import made_by
from .._plan import Plan
from ._problem import Policy, Problem

PolicyLike: TypeAlias = "Policy | Callable[[Problem], Plan] | str"
MODES = {"global": "lowest", "uniform": "uniform"}
"""Other names of two policies."""
_POLICIES = Table(
    "policy",
    "prunepass.policies",
    {
        "knapsack": "._knapsack:Knapsack",
        "lowest": "._lowest:Lowest",
        "sensitivity": "._sensitivity:Sensitivity",
        "threshold": "._threshold:Threshold",
        "uniform": "._uniform:Uniform",
    },
    __package__,
    configurable,
)


def policies() -> Table:
    """Policies by name; other distributions add theirs through ``prunepass.policies``."""
    return _POLICIES


def policy_of(chosen: PolicyLike) -> Policy:
    """The policy that an object or a text such as ``"uniform{by=class}"`` means.

    Raises:
        UsageError: there is none of that name, an option is wrong, or the object cannot be called.
    """
    if not isinstance(chosen, str):
        _check(chosen)
        return chosen
    policy: Policy = made_by(_POLICIES, chosen)
    return policy


def _check(chosen: object) -> None:
    if not callable(chosen) or isinstance(chosen, type):
        raise UsageError(
            f"{chosen!r} is no policy",
            advice="give a policy, a function of a problem, or a name with options",
        )
