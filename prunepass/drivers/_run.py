"""A run: the one place where a session, a pipeline, a task and a clock meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ..hosts import Session
from ..ir import Graph, InternalError, UnsupportedError, VerificationError, collected_later
from ..measure import Setting
from ..passes import Observer, Pipeline, Plan, State, Task, couple, default_judge, plan_for
from ..targets import Target
from ._attempt import Attempt, Round
from ._curves import damage_curves
from ._judge import judged
from ._judging import Judging, Stopwatch
from ._later import Later
from ._parts import Parts
from ._replayed import replayed
from ._weights import Store

T = TypeVar("T")
_REPLANS = 24


@dataclass(eq=False)
class Run(Judging):
    """A run, as a driver works with it: it asks for attempts, looks at them, and gives one back.

    Attributes:
        session: the model as it was captured.
        given, inputs: the user's model and example inputs.
        graph: as captured, with the user's pins and what was learnt of the host's own code.
        pipeline: what plans, cuts and proves.
        task: the user's ``evaluate`` and ``tune``.
        watch: measures a candidate; None where there is no engine.
        setting, target: the engine and its target.
        inplace: whether the user's own object shall change, at the end.
        store: keeps what takes long, so that the run can go on where it was stopped.
        rounds: what was accepted and rejected.
        ended: why the driver ended before the budget; empty where it did not.
    """

    session: Session
    given: Any
    inputs: Any
    graph: Graph
    pipeline: Pipeline
    observers: Sequence[Observer] = ()
    task: Task = field(default_factory=Task)
    watch: Stopwatch | None = None
    setting: Setting | None = None
    target: Target | None = None
    inplace: bool = False
    store: Store | None = None
    rounds: list[Round] = field(default_factory=list)
    ended: str = ""

    @property
    def parts(self) -> Parts:
        """The pipeline as drivers run it."""
        return Parts.of(self.pipeline)

    @property
    def _known(self) -> dict[str, Any]:
        """What passes know before the first one."""
        return {"executor": self.session.executor, "task": self.task, "progress": self.progress}

    def state(self, graph: Graph, **facts: Any) -> State:
        """A state in which passes go on from ``facts``."""
        return State.start(graph).having(**self._known, **facts)

    def attempt(
        self,
        start: Attempt | Plan | None = None,
        budget: str | None = None,
        *,
        parts: Parts | None = None,
        inplace: bool = False,
    ) -> Attempt:
        """Plan, cut and replay; where the host's own code contradicts a cut, plan again with what was learnt.

        Args:
            start: what is cut before; of an attempt that was tuned the weights are taken, too.
            budget: in place of the policy's own; a fraction of the model that was given, whatever is cut before.
            parts: in place of those of the pipeline.
            inplace: change the user's own object; for the last attempt of a run that was asked to.

        Raises:
            BudgetError: the budget cannot be met from here.
            UnsupportedError: the host's own code contradicts every plan.
            VerificationError: an output differs, whatever is planned.
        """
        used = parts or self.parts
        used = used if budget is None else used.under(budget)
        base = self.at(start) if isinstance(start, Plan) else start
        return self.replanned(
            lambda: self._first(used, inplace) if base is None else self._further(base, used)
        )

    def at(self, plan: Plan) -> Attempt:
        """The model after ``plan``.

        Raises:
            UsageError: the plan was made for another model.
        """
        plan.check(self.graph)
        whole = plan.constrain(self.graph)
        return self._replayed(self.parts.repair.resume(self.state(whole, plan=plan)), plan, whole)

    def original(self) -> Attempt:
        """The model as it is, in a copy of its own."""
        plan = plan_for(couple(self.graph), {})
        return self._replayed(self.state(self.graph, plan=plan), plan, self.graph)

    def scored(self, graph: Graph | None = None, parts: Parts | None = None) -> State:
        """What the passes before the policy leave.

        Raises:
            UsageError: the passes are in an order in which one lacks what it needs.
        """
        used, at = parts or self.parts, self.graph if graph is None else graph
        begun = used.whole.start(at, **self._known)
        return used.head.resume(begun, self.observers)

    def planned(self, state: State, parts: Parts | None = None) -> State:
        """What the policy leaves, with one score."""
        used = parts or self.parts
        steps = () if used.policy is None else (used.policy,)
        return Pipeline(steps).resume(self.chosen(self.with_curves(state, used), used), self.observers)

    def with_curves(self, state: State, parts: Parts) -> State:
        """``state`` with damage curves, where the policy reads them: by ``evaluate``, else by the outputs' change."""
        if not getattr(parts.policy, "by_damage", False) or state.sensitivity is not None:
            return state

        def quality(graph: Graph) -> float:
            return self.task.evaluated(self._host_model(graph), "a policy")

        if getattr(self.task, "evaluate", None) is None:
            judge = default_judge(state.graph, state.executor)
            return self._curved(state, parts, lambda graph: float(judge(graph)))
        before = quality(state.graph)
        return self._curved(state, parts, lambda graph: before - quality(graph))

    def _curved(self, state: State, parts: Parts, damage: Callable[[Graph], float]) -> State:
        curves = self.told("sensitivity", lambda: damage_curves(state, parts.repair, damage, self.progress))
        return state.having(sensitivity=curves)

    def _host_model(self, graph: Graph) -> Any:
        return self.session.replay(self.graph, graph, inplace=False)

    def chosen(self, state: State, parts: Parts) -> State:
        """``state`` with one score: of several, that whose plan changes the outputs least."""
        policy = parts.policy
        if policy is None or len(state.candidates or ()) < 2:
            return state
        return self.told("judge", lambda: judged(state, policy))

    def _first(self, parts: Parts, inplace: bool) -> Attempt:
        state = parts.repair.resume(self.planned(self.scored(parts=parts), parts), self.observers)
        return self._replayed(state, state.need("plan", "replay"), self.graph, inplace=inplace)

    def _further(self, base: Attempt, parts: Parts) -> Attempt:
        later = Later.of(base, self.graph, parts)
        state = self.planned(self.scored(later.graph, later.parts), later.parts)
        made = state.need("plan", "replay")
        both = base.plan.then(made, self.session.graph)
        whole = both.constrain(self.session.graph)
        # Amounts and tensors are for the weights that they were computed from: what follows makes them anew.
        gone = {name: np.asarray(one.remove, np.int64) for name, one in both.cuts.items()}
        plan = plan_for(couple(whole), gone, **{**made.options, "budget": str(parts.budget)})
        if not base.tuned:
            # On the weights of the original one repair for all that is gone is exact; two in a row need not be.
            state = replace(state, original=whole, graph=whole, coupling=couple(whole)).having(plan=plan)
        state = parts.repair.resume(state, self.observers)
        return self._replayed(state, plan if base.tuned else state.need("plan", "replay"), whole)

    def _replayed(self, state: State, plan: Plan, whole: Graph, *, inplace: bool = False) -> Attempt:
        model, check = replayed(self.session, self.graph, state.graph, inplace=inplace)
        return Attempt(state, plan, whole, state.graph, model, check)

    def replanned(self, job: Callable[[], T]) -> T:
        """Do ``job`` again with what was learnt, as long as the host's own code contradicts its cuts.

        Raises:
            VerificationError: an output differs, whatever is planned.
            UnsupportedError: the code contradicts every plan.
        """
        for _ in range(_REPLANS):
            try:
                with collected_later():
                    return job()
            except UnsupportedError as mismatch:
                constrained = self.session.constrain(self.graph, mismatch)
                if constrained is self.graph and isinstance(mismatch.__cause__, VerificationError):
                    raise mismatch.__cause__ from None
                if constrained is self.graph:
                    raise
                self.graph = constrained
        raise InternalError(f"the model's own code contradicted {_REPLANS} plans", advice='use form="graph"')
