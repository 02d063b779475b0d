"""The main job: a model goes in, a smaller model comes out, proven equal to the masked one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ._clock import Setting, setting_of
from ._host_check import check_runs, host_check
from ._replayed import all_or_nothing, replayed
from ._report import Report, report_of
from ._search import has_latency
from ._targets import Target, target_for, target_of
from ._timed import Done, Job, counted, timed
from ._wanted import PruneOptions, of_form, wanted
from .hosts import Session, open_model
from .ir import BudgetError, UsageError, check_memory, collected_later
from .passes import (
    Budget,
    Grain,
    Pass,
    Pipeline,
    Plan,
    Proof,
    Timings,
    cut,
    keep_matching,
    prove,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Result:
    """What pruning gave.

    Attributes:
        model: the smaller model, in the host's own form.
        plan: what was cut; save it, review it, apply it elsewhere.
        report: costs, groups, proof and timings.
    """

    model: Any
    plan: Plan
    report: Report


def default_pipeline(
    *,
    budget: str = "macs=0.5",
    score: str = "auto",
    align: int | Grain = 1,
    floor: float = 0.0,
    mode: str = "global",
    compensate: bool = True,
) -> Pipeline:
    """The pipeline that :func:`prune` runs unless another one is given."""
    grain = align if isinstance(align, Grain) else Grain(int(align))
    by_work = ", ".join(f"{key}:{int(step)}" for key, step in grain.by_work.items())
    quoted = budget.replace('"', "")
    metric, _, rest = score.partition("{")
    options = "".join(f", {part.strip()}" for part in rest.rstrip("}").split(",") if part.strip())
    finer = f', grain="{by_work}"' if by_work else ""
    finer += f", minimum={grain.minimum}" if grain.minimum else ""
    select = f'select{{budget="{quoted}", align={grain.align}{finer}, floor={floor}, mode={mode}}}'
    middle = " | compensate" if compensate else ""
    if Budget.parse(quoted).dead:
        return Pipeline.parse(f"couple | {select}{middle} | cut | verify")
    return Pipeline.parse(f"couple | score{{metric={metric}{options}}} | {select}{middle} | cut | verify")


def prune(
    model: Any,
    example_inputs: Any = None,
    *,
    budget: str = "macs=0.5",
    score: str = "auto",
    **options: Unpack[PruneOptions],
) -> Result:
    """Prune ``model`` under ``budget`` and prove the result.

    Args:
        model: nn.Module, ExportedProgram or GraphModule; ONNX path, ModelProto, onnx_ir.Model or
            onnx_graphsurgeon.Graph.
        example_inputs: tensors to capture with (torch), or arrays or shapes by input name (ONNX, optional).
        budget: fractions kept, ``"macs=0.5"`` or ``"latency=0.6,params=0.7"``, as measured on ``backend``;
            ``"dead"`` takes out what changes no output.
        score: ``auto``, a score's name, or a name with options, ``"dfpc{normalize=mean}"``.
        align: channel counts come in multiples of this; ``target`` sets it for an engine.
        target: a built-in name or a file of ``calibrate``; a latency budget falls back to that of ``backend``.
        keep: names or patterns of layers to leave alone.
        pipeline: replaces the default passes.
        form: ``module`` keeps the class, ``graph`` gives an fx.GraphModule; ONNX stays ONNX.
        inplace: change the user's own object, all or nothing.
        backend: also measure on this engine; a model that is slower there is refused unless ``allow_slower``.
        threads: of one inference on it; CPU time counts at one, wall time else.
        observers: are told of each pass.
        floor, mode, compensate: of the default pipeline.

    Raises:
        BudgetError, VerificationError, UsageError, ModelError, BackendError: see :mod:`prunepass.ir`.
    """
    asked = wanted(options)
    of_form("budget", budget)
    of_form("score", score)
    setting = None if asked.backend is None else setting_of(asked.backend, asked.threads)
    target = _target(asked.target, budget if asked.align is None and asked.pipeline is None else "", setting)
    align = target.widths() if target and asked.align is None else asked.align
    steps = _steps(asked.pipeline, budget, score, align, asked.policy)
    check_clock(steps, setting)
    with collected_later():
        session = open_model(model, example_inputs, form=asked.form)
    check_memory(session.graph)
    check_runs(session, model)
    graph, timings = keep_matching(session.graph, asked.keep), Timings.fresh()
    job = Job(model, example_inputs, session, graph, steps, (timings, *asked.observers), asked.inplace)
    with all_or_nothing(session), _advised(session):
        done = (
            counted(job) if setting is None else timed(job, setting, target, allow_slower=asked.allow_slower)
        )
        return _result(session, done, target, timings)


@contextmanager
def _advised(session: Session) -> Iterator[None]:
    """A budget that a module's own code stands in the way of may be met without that code."""
    try:
        yield
    except BudgetError as error:
        if session.form == "module":
            error.advice += "; form='graph' frees what the module's own code fixes"
        raise


def _result(session: Session, done: Done, target: Target | None, timings: Timings) -> Result:
    plan: Plan = done.state.need("plan", "prune")
    if target is not None:
        plan = msgspec.structs.replace(plan, options={**plan.options, "target": target.name})
    report = replace(
        report_of(done.state, timings, done.check),
        unchanged=session.unchanged(done.model),
        timing=done.timing,
        latency=done.latency,
    )
    return Result(done.model, plan, report)


def _target(
    given: str | os.PathLike[str] | Target | None, budget: str, setting: Setting | None
) -> Target | None:
    """The target that was named, else for a latency budget the one of the backend."""
    if given is not None:
        return target_of(given)
    if setting is None or not budget or Budget.parse(budget).latency is None:
        return None
    return target_for(setting.backend.name)


def check_clock(steps: Pipeline, setting: Setting | None) -> None:
    """A latency budget needs an engine.

    Raises:
        UsageError: there is none.
    """
    if setting is None and any(has_latency(step) for step in steps.steps):
        raise UsageError(
            "a latency budget needs an engine to measure on",
            advice="name one with backend= (--backend); 'prunepass backends' lists them",
        )


def _steps(
    pipeline: str | Sequence[Pass] | None,
    budget: str,
    score: str,
    align: int | Grain | None,
    options: Mapping[str, Any],
) -> Pipeline:
    if pipeline is None:
        return default_pipeline(budget=budget, score=score, align=1 if align is None else align, **options)
    if options:
        raise UsageError(f"{', '.join(sorted(options))} and a pipeline of your own exclude each other")
    return Pipeline.parse(pipeline) if isinstance(pipeline, str) else Pipeline(tuple(pipeline))


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
    _check_plan(plan)
    session = open_model(model, example_inputs, form=form)
    plan.check(session.graph)
    graph = plan.constrain(session.graph)
    return replayed(session, graph, cut(graph, plan), inplace=inplace)[0]


def _check_plan(plan: object) -> None:
    if not isinstance(plan, Plan):
        raise UsageError(f"a {type(plan).__name__} is no plan", advice="read one with Plan.load(path)")


def verify(original: Any, pruned: Any, plan: Plan, inputs: Any = None) -> Proof:
    """Prove ``pruned(x) == masked(x)``: every value of the graph in float64, the outputs in the host.

    Args:
        inputs: example inputs as for :func:`prune`; torch models need them.

    Raises:
        VerificationError: naming the first differing value.
        UsageError: the plan was made for another model.
    """
    _check_plan(plan)
    session = open_model(original, inputs, form="graph")
    plan.check(session.graph)
    check_memory(session.graph)
    graph = plan.constrain(session.graph)
    small = cut(graph, plan)
    given = session.feeds()
    proof = prove(graph, small, plan, given, perturb=False)
    if given is not None:
        random = prove(graph, small, plan)
        proof = max(proof, random, key=lambda found: found.worst)
    host_check(session, pruned, small)
    return proof
