"""The main job: a model goes in, a smaller model comes out, proven equal to the masked one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ._options import Options, PruneOptions, options_of
from .drivers import (
    Attempt,
    Driver,
    Evaluation,
    Report,
    Run,
    all_or_nothing,
    check_clock,
    check_runs,
    driven,
    driver_of,
    finished,
    report_of,
    watched,
)
from .hosts import Session, layer_names, open_model
from .ir import BudgetError, check_memory, collected_later
from .measure import Setting, setting_of
from .passes import (
    AUTO,
    Budget,
    Grain,
    Pass,
    Pipeline,
    Plan,
    Select,
    Task,
    Timings,
    free_outputs,
    keep_matching,
    made_by,
    passes,
    scores,
    standard,
    task_of,
)
from .targets import Target, target_for, target_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


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


def _select(asked: Options) -> Select:
    grain = (
        asked.align
        if isinstance(asked.align, Grain)
        else Grain(1 if asked.align is None else int(asked.align))
    )
    return Select(
        budget=asked.budget,
        align=grain.align,
        grain=dict(grain.by_work),
        minimum=grain.minimum,
        floor=0.0 if asked.floor is None else asked.floor,
        mode="global" if asked.mode is None else asked.mode,
        ratios=dict(asked.ratios or {}),
        policy=asked.policy,
    )


def _repair(asked: str | Pass) -> tuple[Pass, ...]:
    if not isinstance(asked, str):
        return (asked,)
    if asked == "none":
        return ()
    return (standard.Compensate() if asked == "auto" else made_by(passes(), asked),)


def pipeline_of(asked: Options) -> Pipeline:
    """The passes that were asked for, the default ones where none were.

    Raises:
        UsageError: one of them is unknown.
    """
    if asked.pipeline is None:
        return default_pipeline(asked)
    given = asked.pipeline
    return Pipeline.parse(given) if isinstance(given, str) else Pipeline(tuple(given))


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
        ratios: fraction kept by name or pattern of layers, whatever the budget: ``{"layer1.*": 0.5}``.
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
    driver = driver_of(asked.driver, steps)
    timings = Timings.fresh()
    run = _run(asked, model, example_inputs, steps, timings)
    run.setting, run.target = setting, target
    with all_or_nothing(run.session), _advised(run.session), watched(run):
        return _result(run, *_taken(run, driver, asked), timings)


def _run(asked: Options, model: Any, example_inputs: Any, steps: Pipeline, timings: Timings) -> Run:
    """The model opened, with what shall stay pinned."""
    with collected_later():
        session = open_model(model, example_inputs, form=asked.form)
    check_memory(session.graph)
    check_runs(session, model)
    graph = keep_matching(free_outputs(session.graph, asked.free), layer_names(model, asked.keep))
    task = Task() if asked.task is None else task_of(asked.task)
    run = Run(session, model, example_inputs, graph, steps, (timings, *asked.observers), task)
    run.inplace = asked.inplace
    return run


@contextmanager
def _advised(session: Session) -> Iterator[None]:
    """A budget that a module's own code stands in the way of may be met without that code."""
    try:
        yield
    except BudgetError as error:
        if session.form == "module":
            error.advice += "; form='graph' frees what the module's own code fixes"
        raise


def _taken(run: Run, driver: Driver, asked: Options) -> tuple[Attempt, Evaluation | None]:
    """The attempt that the driver takes, finished, with what ``evaluate`` gives of the original and of it."""
    found = driven(driver, run)
    before = run.evaluate(run.original()).accuracy if run.evaluates else None
    taken = finished(run, found, allow_slower=asked.allow_slower)
    both = None if before is None or taken.accuracy is None else Evaluation(before, taken.accuracy)
    return taken, both


def _result(run: Run, taken: Attempt, evaluation: Evaluation | None, timings: Timings) -> Result:
    report = replace(
        report_of(taken.state, timings, taken.check),
        unchanged=run.session.unchanged(taken.model),
        timing=taken.timing,
        latency=taken.latency,
        rounds=tuple(run.rounds),
        ended=run.ended,
        evaluation=evaluation,
    )
    return Result(taken.model, taken.plan, report)


def _target(
    given: str | os.PathLike[str] | Target | None, budget: str, setting: Setting | None
) -> Target | None:
    """The target that was named, else for a latency budget the one of the backend."""
    if given is not None:
        return target_of(given)
    if setting is None or not budget or Budget.parse(budget).latency is None:
        return None
    return target_for(setting.backend.name)
