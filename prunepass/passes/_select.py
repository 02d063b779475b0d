"""The pass that chooses what goes: it states the problem, and a policy solves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import msgspec

from ..ir import Array, UsageError
from ._auto import choose
from ._dead import dead_in_steps
from ._options import described
from ._plan import Plan
from ._state import State
from .analyses import refuse_not_finite
from .cost import Budget
from .coupling import Coupling, couple
from .policies import (
    MODES,
    DamageCurves,
    Grain,
    LatencyLimit,
    Policy,
    PolicyLike,
    Problem,
    policy_of,
    undivided,
    with_options,
)
from .rewrites import dead_first

_GLOBAL = "global"


@dataclass(frozen=True)
class Select:
    """Choose what goes so that the budget is met; leaves the facts ``plan`` and ``scores``.

    A latency budget reads the fact ``clocked``, a :class:`LatencyLimit`; damage curves are the fact ``sensitivity``.

    Attributes:
        budget: fractions kept, such as ``macs=0.5``; ``dead`` takes out what changes no output.
        align: channel counts come in multiples of this.
        grain: other multiples by kind of work and dtype (``window:16``, ``dense/int8:32``); see
            :mod:`.cost._kinds`.
        minimum: the multiple of groups that are narrower than ``align``; 0 keeps them whole.
        floor: least fraction of every group that stays.
        mode: ``global`` and ``uniform`` are other names of the policies ``lowest`` and ``uniform``.
        ratios: fraction kept by name or pattern of a group or of its layers; these groups take exactly that and no
            part in the rest.
        policy: a policy, a function of a problem, or a name with options such as ``uniform{by=class}``; in place of
            ``mode``.
    """

    name: ClassVar[str] = "select"
    makes: ClassVar[tuple[str, ...]] = ("plan", "scores", "choice", "compensation")
    budget: str = "macs=0.5"
    align: int = 1
    grain: Mapping[str, float] = field(default_factory=dict)
    minimum: int = 0
    floor: float = 0.0
    mode: str = _GLOBAL
    ratios: Mapping[str, float] = field(default_factory=dict)
    policy: PolicyLike | None = None

    def __post_init__(self) -> None:
        Budget.parse(self.budget)
        if self.mode not in MODES:
            raise UsageError(f"there is no mode '{self.mode}'", advice=f"there are {', '.join(MODES)}")
        if self.align < 1 or self.minimum < 0 or not 0 <= self.floor <= 1:
            text = f"align {self.align} must be at least 1, minimum {self.minimum} 0 or more"
            raise UsageError(f"{text}, floor {self.floor} a fraction")
        if self.policy is not None and self.mode != _GLOBAL:
            raise UsageError(f"mode {self.mode} and a policy exclude each other", advice="leave mode out")
        self._chosen()
        for pattern, fraction in self.ratios.items():
            if not 0 < fraction <= 1:
                raise UsageError(f"the ratio {pattern}={fraction:g} is not a fraction kept, in (0, 1]")
        if self.dead and (self.ratios or self.policy is not None or self.mode != _GLOBAL):
            what = "ratios" if self.ratios else "a policy" if self.policy is not None else f"mode {self.mode}"
            raise UsageError(
                f"the budget 'dead' takes what is dead and nothing else: {what} has no meaning there"
            )

    @property
    def dead(self) -> bool:
        """Return whether what changes no output goes, whatever the scores."""
        return Budget.parse(self.budget).dead

    @property
    def needs(self) -> tuple[str, ...]:
        return () if self.dead else ("candidates",)

    @property
    def widths(self) -> Grain:
        """The multiples that widths come in."""
        return Grain(self.align, self.grain, self.minimum)

    def __call__(self, state: State) -> State:
        coupling = couple(state.graph)
        if self.dead:
            refuse_not_finite(state.graph)
            whole = dead_in_steps(coupling, self.widths, self.floor)
            whole = replace(whole, plan=with_options(whole.plan, self._options()))
            return state.having(plan=whole.plan, compensation=whole)
        found = state.need("candidates", self.name)
        if state.clocked is not None or getattr(self._chosen(), "weighs_cost", False):
            found = undivided(coupling, found, state.per or {})

        def planned(coupling: Coupling, values: Mapping[str, Array]) -> Plan:
            return self.plan(coupling, values, state.clocked, state.sensitivity)

        if len(found) > 1:
            choice = choose(coupling, planned, found, state.executor)
            state, metric, plan = state.having(choice=choice), choice.metric, choice.plan
        else:
            ((metric, values),) = found.items()
            plan = planned(coupling, values)
        options = {**plan.options, "score": metric}
        return state.having(plan=msgspec.structs.replace(plan, options=options), scores=found[metric])

    def plan(
        self,
        coupling: Coupling,
        scores: Mapping[str, Array],
        limit: LatencyLimit | None = None,
        sensitivity: DamageCurves | None = None,
    ) -> Plan:
        """The plan for scores by group name, larger = keep.

        Args:
            limit: what a latency budget needs.
            sensitivity: by group name the damage at fractions kept.

        Raises:
            BudgetError: the budget cannot be met; the text says how near it can get and why.
            UsageError: a score is not finite, or a ratio is for a layer that is not there.
        """
        if self.dead:
            return with_options(dead_in_steps(coupling, self.widths, self.floor).plan, self._options())
        budget, values = Budget.parse(self.budget), dead_first(coupling, scores)
        grain, ratios = self.widths, self.ratios
        problem = Problem(coupling, values, budget, grain, self.floor, ratios, limit, sensitivity)
        plan = self._chosen()(problem)
        if not isinstance(plan, Plan):
            raise UsageError(
                f"the policy {described(self._chosen())} gave a {type(plan).__name__}, not a plan",
                advice="make one with problem.plan(widths)",
            )
        problem.check(plan)
        return with_options(plan, self._options())

    @property
    def by_damage(self) -> bool:
        """Return whether the policy reads damage curves, for which candidates must be run."""
        return bool(getattr(self._chosen(), "by_damage", False))

    def _chosen(self) -> Policy:
        return policy_of(MODES[self.mode] if self.policy is None else self.policy)

    def _options(self) -> dict[str, object]:
        options: dict[str, object] = {"budget": self.budget, "align": self.align, "mode": self.mode}
        if self.policy is not None:
            del options["mode"]
            options["policy"] = described(self.policy)
        if self.grain:
            options["grain"] = {key: int(step) for key, step in sorted(self.grain.items())}
        if self.minimum:
            options["minimum"] = self.minimum
        if self.floor:
            options["floor"] = self.floor
        if self.ratios:
            options["ratios"] = dict(sorted(self.ratios.items()))
        return options
