"""The main job: a model goes in, a smaller model comes out, proven equal to the masked one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ._options import Options, PruneOptions, options_of
from .drivers import (
    Done,
    Job,
    Report,
    all_or_nothing,
    check_runs,
    counted,
    drivers,
    has_latency,
    host_check,
    replayed,
    report_of,
    run_once,
    timed,
)
from .hosts import Session, layer_names, open_model
from .ir import BudgetError, Graph, ModelError, UsageError, VerificationError, check_memory
from .measure import Setting, setting_of
from .passes import (
    AUTO,
    Budget,
    Grain,
    Pass,
    Pipeline,
    Plan,
    Proof,
    Timings,
    check_masked,
    cut,
    free_outputs,
    keep_matching,
    made_by,
    masked_by_weights,
    policies,
    prove,
    scores,
    standard,
    with_tuned,
)
from .targets import Target, target_for, target_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LEAVE = {
    "policy": "mode=global or mode=uniform chooses",
    "driver": "leave it out: what a latency budget or a contradiction needs is done without",
    "task": "leave task= (--data, --evaluate) out",
}


@dataclass(frozen=True)
class Result:
    """Result of a prune.

    Attributes:
        model: the smaller model, in the host's own form.
        plan: what was cut; save it, review it, apply it elsewhere.
        report: costs, groups, proof and timings.
    """

    model: Any
    plan: Plan
    report: Report


def default_pipeline(asked: Options) -> Pipeline:
    """The passes that :func:`prune` runs unless others are given."""
    select = _select(asked)
    first: tuple[Pass, ...] = () if select.dead else (standard.Score(_score(asked.score)),)
    return Pipeline(
        (standard.Couple(), *first, select, *_repair(asked.mending), standard.Cut(), standard.Verify())
    )


def _score(given: Any) -> Any:
    """The score itself; ``auto`` is the choice among several."""
    return given if given == AUTO else made_by(scores.scores(), given)


def _select(asked: Options) -> standard.Select:
    grain = (
        asked.align
        if isinstance(asked.align, Grain)
        else Grain(1 if asked.align is None else int(asked.align))
    )
    return standard.Select(
        budget=asked.budget,
        align=grain.align,
        grain=dict(grain.by_work),
        minimum=grain.minimum,
        floor=0.0 if asked.floor is None else asked.floor,
        mode="global" if asked.mode is None else asked.mode,
        ratios=dict(asked.ratios or {}),
    )


def _repair(asked: str | Pass) -> tuple[Pass, ...]:
    if not isinstance(asked, str):
        return (asked,)
    return () if asked == "none" else (standard.Compensate(),)


def pipeline_of(asked: Options) -> Pipeline:
    """The passes that were asked for, the default ones where none were.

    Raises:
        UsageError: one of them is unknown, or an option is not available.
    """
    refuse_unavailable(asked)
    if asked.pipeline is None:
        return default_pipeline(asked)
    given = asked.pipeline
    return Pipeline.parse(given) if isinstance(given, str) else Pipeline(tuple(given))


def refuse_unavailable(asked: Options) -> None:
    """The one place for options that are declared and parsed, and that nothing here answers to yet."""
    for name, known in (("policy", policies.policies()), ("driver", drivers())):
        given = getattr(asked, name)
        if isinstance(given, str):
            made_by(known, given)
    for name in ("policy", "driver", "task"):
        if getattr(asked, name) is not None:
            raise UsageError(f"{name} is not available in this version", advice=_LEAVE[name])


def prune(
    model: Any,
    example_inputs: Any = None,
    *,
    budget: str = "macs=0.5",
    score: str | scores.Score = "auto",
    **options: Unpack[PruneOptions],
) -> Result:
    """Prune ``model`` under ``budget`` and prove the result.

    Args:
        model: nn.Module, ExportedProgram or GraphModule; ONNX path, ModelProto, onnx_ir.Model or
            onnx_graphsurgeon.Graph.
        example_inputs: tensors to capture with (torch), or arrays or shapes by input name (ONNX, optional).
        budget: fractions kept, ``"macs=0.5"`` or ``"latency=0.6,params=0.7"``, as measured on ``backend``;
            ``"dead"`` takes out what changes no output.
        score: ``auto``, a score, or its name with options, ``"dfpc{normalize=mean}"``.
        align: channel counts come in multiples of this; ``target`` sets it for an engine.
        target: a built-in name or a file of ``calibrate``; a latency budget falls back to that of ``backend``.
        floor, mode: least fraction that a group keeps; ``global`` compares all channels, ``uniform`` takes like shares.
        ratios: fraction kept by pattern of group names, whatever the budget: ``{"layer1.*": 0.5}``.
        policy, driver: how channels are chosen, and the loop around the passes; objects, or ``"uniform{by=class}"``.
        repair: of what went: ``auto``, ``compensate``, ``none`` (or ``compensate=False``), or a pass.
        pipeline: passes or their text, in place of the default ones and their options.
        keep: layers to leave alone: names, patterns, modules or classes; ``free``: outputs that may be cut.
        task: what only you know: data, loss, evaluate, tune.
        form: ``module`` keeps the class, ``graph`` gives an fx.GraphModule; ONNX stays ONNX.
        inplace: change the user's own object, all or nothing.
        backend: also measure on this engine; a model that is slower there is refused unless ``allow_slower``.
        threads: of one inference on it; CPU time counts at one, wall time else.
        observers: are told of each pass.

    Raises:
        BudgetError, VerificationError, UsageError, ModelError, BackendError: see :mod:`prunepass.ir`.
    """
    asked = options_of({"budget": budget, "score": score, **options})
    setting = None if asked.backend is None else setting_of(asked.backend, asked.threads)
    by_clock = asked.align is None and asked.pipeline is None
    target = _target(asked.target, budget if by_clock else "", setting)
    if target and asked.align is None:
        asked = replace(asked, align=target.widths())
    steps = pipeline_of(asked)
    check_clock(steps, setting)
    timings = Timings.fresh()
    job = _job(asked, model, example_inputs, steps, timings)
    with all_or_nothing(job.session), _advised(job.session):
        done = (
            counted(job) if setting is None else timed(job, setting, target, allow_slower=asked.allow_slower)
        )
        return _result(job.session, done, target, timings)


def _job(asked: Options, model: Any, example_inputs: Any, steps: Pipeline, timings: Timings) -> Job:
    """The model opened, with what shall stay pinned."""
    session = open_model(model, example_inputs, form=asked.form)
    check_memory(session.graph)
    check_runs(session, model)
    graph = keep_matching(free_outputs(session.graph, asked.free), layer_names(model, asked.keep))
    return Job(model, example_inputs, session, graph, steps, (timings, *asked.observers), asked.inplace)


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
    return Result(done.model, plan.made_for(done.state.original), report)


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
    _check_plan(plan)
    session = open_model(model, example_inputs, form=form)
    plan.check(session.graph)
    check_memory(session.graph)
    graph = plan.constrain(session.graph)
    whole = masked_by_weights(graph, plan)
    check_masked(graph, plan, whole, session.feeds())
    return replayed(session, graph, whole)[0]


def _check_plan(plan: object) -> None:
    if not isinstance(plan, Plan):
        raise UsageError(f"a {type(plan).__name__} is no plan", advice="read one with Plan.load(path)")


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
    _check_plan(plan)
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
