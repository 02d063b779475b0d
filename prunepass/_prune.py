"""The main job: a model goes in, a smaller model comes out, proven equal to the masked one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._report import Report, report_of
from ._targets import align_of
from .hosts import Session, open_model
from .ir import Graph, InternalError, UnsupportedError, UsageError, VerificationError, evaluate
from .passes import (
    Observer,
    Pass,
    Pipeline,
    Plan,
    Proof,
    State,
    Timings,
    cut,
    keep_matching,
    prove,
    random_inputs,
    relative_error,
)

_ATTEMPTS = 24
_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


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
    align: int = 1,
    floor: float = 0.0,
    mode: str = "global",
    compensate: bool = True,
) -> Pipeline:
    """The pipeline that :func:`prune` runs unless another one is given."""
    quoted = budget.replace('"', "")
    metric, _, rest = score.partition("{")
    options = "".join(f", {part.strip()}" for part in rest.rstrip("}").split(",") if part.strip())
    select = f'select{{budget="{quoted}", align={align}, floor={floor}, mode={mode}}}'
    middle = " | compensate" if compensate else ""
    return Pipeline.parse(f"couple | score{{metric={metric}{options}}} | {select}{middle} | cut | verify")


def prune(  # noqa: PLR0913 - the one call a user makes; every option is by name
    model: Any,
    example_inputs: Any = None,
    *,
    budget: str = "macs=0.5",
    score: str = "auto",
    align: int | None = None,
    target: str | None = None,
    keep: Sequence[str] = (),
    pipeline: str | Sequence[Pass] | None = None,
    form: str = "module",
    inplace: bool = False,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> Result:
    """Prune ``model`` under ``budget`` and prove the result.

    Args:
        model: nn.Module, ExportedProgram or GraphModule; ONNX path, ModelProto, onnx_ir.Model or
            onnx_graphsurgeon.Graph.
        example_inputs: tensors to capture with (torch), or arrays or shapes by input name (ONNX, optional).
        budget: fractions kept, ``"macs=0.5"`` or ``"macs=0.5,params=0.6"``.
        score: ``auto``, a score's name, or a name with options, ``"dfpc{normalize=mean}"``.
        align: channel counts come in multiples of this; ``target`` sets it for an engine.
        keep: names or patterns of layers to leave alone.
        pipeline: replaces the default passes.
        form: ``module`` keeps the class, ``graph`` gives an fx.GraphModule; ONNX stays ONNX.
        inplace: change the user's own object, all or nothing.
        options: ``floor``, ``mode`` and ``compensate`` of the default pipeline.

    Raises:
        BudgetError, VerificationError, UsageError, ModelError: see :mod:`prunepass.ir`.
    """
    steps = _steps(pipeline, budget, score, align, target, options)
    session = open_model(model, example_inputs, form=form)
    graph = keep_matching(session.graph, keep)
    timings = Timings.fresh()
    state, pruned = _plan_and_replay(session, graph, steps, (timings, *observers), inplace)
    plan: Plan = state.need("plan", "prune")
    check = host_check(session, pruned, state.graph)
    return Result(pruned, plan, report_of(state, timings, check))


def _steps(
    pipeline: str | Sequence[Pass] | None,
    budget: str,
    score: str,
    align: int | None,
    target: str | None,
    options: Mapping[str, Any],
) -> Pipeline:
    if pipeline is None:
        grain = align if align is not None else align_of(target) if target else 1
        unknown = set(options) - {"floor", "mode", "compensate"}
        if unknown:
            raise UsageError(f"prune has no option {', '.join(sorted(unknown))}")
        return default_pipeline(budget=budget, score=score, align=grain, **options)
    if options:
        raise UsageError(f"{', '.join(sorted(options))} and a pipeline of your own exclude each other")
    return Pipeline.parse(pipeline) if isinstance(pipeline, str) else Pipeline(tuple(pipeline))


def _plan_and_replay(
    session: Session, graph: Graph, steps: Pipeline, observers: Sequence[Observer], inplace: bool
) -> tuple[State, Any]:
    """Plan, replay, and where the host's own code contradicts the cut, plan again with what was learnt."""
    for _ in range(_ATTEMPTS):
        state = steps(graph, observers)
        try:
            return state, session.replay(graph, state.graph, inplace=inplace)
        except UnsupportedError as mismatch:
            constrained = session.constrain(graph, mismatch)
            if constrained is graph:
                raise
            graph = constrained
    raise InternalError(f"the model's own code contradicted {_ATTEMPTS} plans", advice='use form="graph"')


def apply(
    plan: Plan, model: Any, example_inputs: Any = None, *, form: str = "module", inplace: bool = False
) -> Any:
    """Replay ``plan`` on a fresh copy of the model it was made for; the same bytes every time.

    Raises:
        UsageError: the plan was made for another model.
    """
    session = open_model(model, example_inputs, form=form)
    plan.check(session.graph)
    graph = plan.constrain(session.graph)
    return session.replay(graph, cut(graph, plan), inplace=inplace)


@dataclass(frozen=True)
class HostCheck:
    """The pruned model in its own host against the reference: worst relative error of the outputs."""

    worst: float
    tolerance: float


def verify(original: Any, pruned: Any, plan: Plan, inputs: Any = None) -> Proof:
    """Prove ``pruned(x) == masked(x)``: every value of the graph in float64, the outputs in the host.

    Args:
        inputs: example inputs as for :func:`prune`; torch models need them.

    Raises:
        VerificationError: naming the first differing value.
        UsageError: the plan was made for another model.
    """
    session = open_model(original, inputs, form="graph")
    plan.check(session.graph)
    graph = plan.constrain(session.graph)
    small = cut(graph, plan)
    given = session.feeds()
    proof = prove(graph, small, plan, given, perturb=False)
    if given is not None:
        random = prove(graph, small, plan)
        proof = max(proof, random, key=lambda found: found.worst)
    host_check(session, pruned, small)
    return proof


def host_check(session: Session, pruned: Any, small: Graph) -> HostCheck:
    """Run the pruned model in its own host and compare its outputs with the cut graph's reference.

    The tolerance is the rounding of the outputs' type times the number of nodes a rounding error passes.

    Raises:
        VerificationError: an output differs.
    """
    feeds = session.feeds() or random_inputs(small)
    typed = {name: array.astype(_numpy_type(small.values[name].dtype)) for name, array in feeds.items()}
    values = evaluate(small, typed)
    tolerance = (
        4 * max(_EPS.get(small.tensor(name).dtype, 0.0) for name in small.outputs) * (len(small.nodes) + 16)
    )
    worst = 0.0
    for name, got in zip(small.outputs, session.run(pruned, typed), strict=True):
        want = values[name] if name in values else small.params[name].read()
        error = relative_error(got, want) if got.shape == want.shape else float("inf")
        if not error <= tolerance:
            raise VerificationError(
                f"output '{name}' of the pruned model is off the reference by {error:.1e} ({tolerance:.1e} allowed)",
                where=small.name,
            )
        worst = max(worst, error)
    return HostCheck(worst, tolerance)


def _numpy_type(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype
