"""The end of a run: what was taken is proved, held to what was promised, and put where it belongs."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ..ir import BudgetError
from ..measure import Setting, fraction, is_slower
from ._attempt import Attempt
from ._replayed import replayed
from ._run import Run


def finished(run: Run, attempt: Attempt, *, allow_slower: bool = False) -> Attempt:
    """The attempt that a driver gave, proved, and in the user's own object where that was asked for.

    The plan of one whose weights were trained is repaired for the original's weights: it can be applied to them.

    Raises:
        VerificationError: the cut graph does not compute what the masked one does.
        BudgetError: the model is slower on the engine than the original.
    """
    if run.setting is not None:
        if run.watch is not None and attempt.reading is None:
            attempt = run.measure(attempt)
        _refuse_slower(attempt, run.setting, allow_slower)
    parts = run.parts
    state = attempt.state
    if attempt.tuned:
        facts = {"plan": attempt.plan, "scores": state.scores, "choice": state.choice}
        state = parts.repair.resume(run.state(attempt.whole, **facts))
    state = parts.proof.resume(state, run.observers)
    if run.inplace and attempt.model is not run.given:
        model, check = replayed(run.session, attempt.whole, attempt.graph, inplace=True)
        attempt = replace(attempt, model=model, check=check)
    plan = state.need("plan", "prune")
    options = {**plan.options, **(run.setting.facts() if run.setting else {})}
    if run.target is not None:
        options["target"] = run.target.name
    plan = msgspec.structs.replace(plan, options=options).made_for(state.original)
    attempt = replace(attempt, state=state.having(plan=plan), plan=plan)
    return run.evaluate(attempt) if attempt.accuracy is None and run.evaluates else attempt


def _refuse_slower(attempt: Attempt, setting: Setting, allow_slower: bool) -> None:
    timing = attempt.timing
    if allow_slower or timing is None or not is_slower(timing, setting.clock):
        return
    first, second = (engine.time(setting.clock).median for engine in timing.engines)
    raise BudgetError(
        f"the pruned model is slower on {timing.backend}: {second:.3f} ms, the original {first:.3f} ms "
        f"({fraction(timing, setting.clock):.3f} of its time, {setting.clock} time)",
        advice="give widths the engine's grain with target= (--target), ask for a latency budget, or allow it "
        "with allow_slower (--allow-slower)",
    )
