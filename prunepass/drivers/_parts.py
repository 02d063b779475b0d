"""A pipeline in the parts that a driver runs apart: scores, policy, repair and cut, proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ..ir import UsageError
from ..passes import Budget, Pass, Pipeline


@dataclass(frozen=True)
class Parts:
    """A pipeline, split where a driver steps in.

    Attributes:
        head: the passes before the policy.
        policy: the pass that makes the plan; None where none says that it does.
        repair: what follows it, but for the proof.
        proof: passes at the end that prove and change nothing; what is not taken need not be proved.
    """

    head: Pipeline
    policy: Pass | None
    repair: Pipeline
    proof: Pipeline

    @staticmethod
    def of(pipeline: Pipeline) -> Parts:
        """Split ``pipeline`` by what its passes say that they make."""
        steps = pipeline.steps
        end = len(steps)
        while end and makes(steps[end - 1]) == ("proof",):
            end -= 1
        at = next((place for place in range(end) if "plan" in makes(steps[place])), end)
        policy = steps[at] if at < end else None
        return Parts(Pipeline(steps[:at]), policy, Pipeline(steps[at + 1 : end]), Pipeline(steps[end:]))

    @property
    def whole(self) -> Pipeline:
        """All passes in a row."""
        return Pipeline((*self.head.steps, *self.rest.steps, *self.proof.steps))

    @property
    def rest(self) -> Pipeline:
        """The policy and what follows it, but for the proof."""
        return Pipeline((*(() if self.policy is None else (self.policy,)), *self.repair.steps))

    @property
    def budget(self) -> Budget:
        """The budget of the policy.

        Raises:
            UsageError: the pipeline has no policy with a budget.
        """
        return Budget.parse(self._budgeted().budget)

    def under(self, budget: str) -> Parts:
        """The same under another budget."""
        return replace(self, policy=cast("Pass", replace(self._budgeted(), budget=budget)))

    def _budgeted(self) -> Any:
        if not isinstance(getattr(self.policy, "budget", None), str):
            raise UsageError(
                "this driver sets budgets, and the pipeline has no policy that takes one",
                advice="leave pipeline= out, or let it hold select{budget=...}",
            )
        return self.policy


def makes(step: object) -> Sequence[str]:
    """Names of the facts that a pass says it leaves."""
    return tuple(getattr(step, "makes", None) or ())


def has_latency(step: object) -> bool:
    """Return whether a pass is a policy under a latency budget."""
    budget = getattr(step, "budget", None)
    return isinstance(budget, str) and "plan" in makes(step) and Budget.parse(budget).latency is not None
