"""The choice of ``auto`` among scores: candidates are planned, repaired, cut and run."""

from __future__ import annotations

from ..passes import Pass, Plan, State, choose_among, couple, default_judge


def judged(state: State, policy: Pass) -> State:
    """``state`` with the one score, of several, whose plan changes the outputs least.

    Raises:
        BudgetError: the budget cannot be met with any of them.
    """
    found = state.candidates or {}
    if len(found) < 2:
        return state

    def planned(metric: str) -> Plan:
        plan: Plan = policy(state.having(candidates={metric: found[metric]})).need("plan", policy.name)
        return plan

    choice = choose_among(couple(state.graph), found, planned, default_judge(state.graph, state.executor))
    return state.having(choice=choice, candidates={choice.metric: found[choice.metric]})
