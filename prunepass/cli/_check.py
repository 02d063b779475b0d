"""``prunepass check``: the gate of a build. Proof, budget, widths and the clock, each finding by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ._finding import GONE, Finding
from .face import Face, spoken, table

if TYPE_CHECKING:
    from ..ir import Graph
    from ..passes import Budget, Grain, Plan
    from ._models import Loaded
    from ._promised import Promised

# Of the variance of outputs that only rounding in float32 changes.
_SAME = 1e-8


@click.command()
@click.argument("out")
@click.option("--against", required=True, metavar="MODEL", help="The original model.")
@click.option("--plan", "plan_file", required=True, metavar="P", help="The plan that made OUT.")
@click.option("--backend", metavar="B", help="Also measure, and fail where OUT is slower than MODEL.")
@click.option("--shape", multiple=True, metavar="SHAPE", help="Shape of an example input, NAME=1,3,224,224.")
@click.option(
    "--weights",
    type=click.Choice(["plan", "tuned"]),
    default="plan",
    help="Whether OUT was trained since.  [plan]",
)
@click.option("--sarif", metavar="F", help="Also write the failures as SARIF 2.1.0.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def check(face: Face, out: str, against: str, plan_file: str, as_json: bool, **given: Any) -> int:
    """Hold OUT against what was promised.

    That is the proof, the budget of its plan, and widths on the engine's grain. Exit code 1 where a promise
    does not hold.
    """
    from ..passes import Plan, files_of
    from ._check_time import timed
    from ._files import Outputs, check_outputs
    from ._models import check_apart, load
    from ._promised import promised
    from ._sarif import to_sarif
    from .progress import progress

    sarif, shape, backend = given["sarif"], given["shape"], given["backend"]
    plan = Plan.load(plan_file)
    check_outputs((sarif,), (out, against, *files_of(plan_file, plan)))
    held = promised(plan)
    original, pruned = load(against, shape), load(out, shape)
    for loaded in (original, pruned):
        check_apart(loaded, sarif)
    with progress(face) as shown:
        shown.say("proving")
        findings = _promises(original, pruned, plan, held, given["weights"])
        if backend:
            shown.say("measuring")
            findings += timed(original, pruned, held, backend)
    if sarif is not None:
        with Outputs() as outputs:
            outputs.text(sarif, to_sarif(out, findings))
    _tell(face, out, findings, as_json)
    return 0 if all(finding.holds for finding in findings) else 1


def _tell(face: Face, out: str, findings: list[Finding], as_json: bool) -> None:
    if as_json:
        found = [{"rule": f.rule, "holds": f.holds, "text": f.text, "where": f.where} for f in findings]
        passed = all(finding.holds for finding in findings)
        click.echo(json.dumps({"passed": passed, "checks": found}, indent=1, sort_keys=True))
    else:
        rows = ((f.rule, "ok" if f.holds else "FAILED", f.where, f.text) for f in findings)
        face.show(table(out, ("check", "", "where", "found"), rows))
    for finding in findings:
        if not finding.holds:
            place = f"{finding.where}: " if finding.where else ""
            click.echo(f"prunepass: error: [{finding.rule}] {place}{finding.text}", err=True)


def _promises(original: Loaded, pruned: Loaded, plan: Plan, held: Promised, weights: str) -> list[Finding]:
    from .._analyze import capture
    from ..passes import cut
    from ._promised import floor_kept

    graph = capture(original.model, original.inputs)
    plan.check(graph)
    graph = plan.constrain(graph)
    expected, found = cut(graph, plan), capture(pruned.model, pruned.inputs)
    widths = _widths(graph, expected, found)
    made = expected if all(w.holds for w in widths) else found
    findings = [*widths, _budget(graph, made, plan, held.limits())]
    if all(finding.holds for finding in widths):
        findings.insert(0, _proof(original, pruned, plan, weights))
    return [*findings, *_grain(graph, plan, held.widths()), *floor_kept(plan, held.floor)]


def _proof(original: Loaded, pruned: Loaded, plan: Plan, weights: str) -> Finding:
    from .._prune import verify
    from ..ir import VerificationError
    from ._models import opened

    try:
        found = verify(original.model, opened(pruned), plan, original.inputs, weights=weights)
        return Finding("proof", True, str(found))
    except VerificationError as error:
        return Finding("proof", False, error.what, str(error.where or ""))


def _widths(graph: Graph, expected: Graph, found: Graph) -> list[Finding]:
    """Groups whose params do not have the shape that the plan leaves; then there is nothing to prove."""
    from ..passes import couple

    shared = [p for p in expected.params.values() if p.trained and p.name in found.params]
    if not shared:
        return [Finding("widths", False, "it shares no param with the model that the plan was made for")]
    prunable = couple(graph).prunable
    groups = {(member.tensor, member.axis): group.name for group in prunable for member in group.members}
    wrong: dict[str, Finding] = {}
    for param in shared:
        shape = found.params[param.name].shape
        if shape == param.shape:
            continue
        pairs = enumerate(zip(shape, param.shape, strict=False))
        axis = next((axis for axis, (have, want) in pairs if have != want), 0)
        where = groups.get((param.name, axis), param.name)
        if where not in wrong:
            text = f"param '{param.name}' has shape {shape}, the plan leaves {param.shape}"
            wrong[where] = Finding("widths", False, text, where)
    holds = Finding("widths", True, f"{len(shared)} params have the shapes that the plan leaves")
    return list(wrong.values()) or [holds]


def _budget(graph: Graph, found: Graph, plan: Plan, budget: Budget | None) -> Finding:
    from ..passes import couple, graph_cost

    if budget is None:
        return Finding("budget", False, f"the plan names none, so there is none to hold ({GONE})")
    if budget.dead:
        return _unchanged(graph, found)
    before, after = graph_cost(graph), graph_cost(found)
    totals = {kind: after[kind] for kind in budget.counted}
    if not totals:
        return Finding("budget", True, f"{budget} is measured: with --backend")
    if "channels" in totals:
        groups = couple(graph).prunable
        totals["channels"] = sum(
            g.size - len(plan.cuts[g.name].remove if g.name in plan.cuts else ()) for g in groups
        )
    kept = ", ".join(f"{kind}={total / max(before[kind], 1):.4f}" for kind, total in totals.items())
    return Finding("budget", budget.met(totals, before), f"{kept} of {budget}")


def _unchanged(graph: Graph, found: Graph) -> Finding:
    """Taking out what is dead changes no output."""
    from ..passes import output_change

    try:
        change = output_change(graph, found)
    except ValueError:  # outputs of other shapes
        change = float("inf")
    return Finding("budget", change < _SAME, f"outputs change by {change:.1e} of their variance, budget dead")


def _grain(graph: Graph, plan: Plan, wanted: Grain | None) -> list[Finding]:
    """Every group that was cut must have a width on the grain that the plan was made for."""
    from ..passes import allowed_widths, couple, steps

    if wanted is None:
        return [Finding("grain", False, f"the plan does not say which multiples widths come in ({GONE})")]
    if wanted.coarsest <= 1:
        return [Finding("grain", True, "any width was asked for")]
    coupling = couple(graph)
    grain = steps(coupling, wanted)
    wrong = []
    for group in coupling.prunable:
        cut = plan.cuts.get(group.name)
        if cut is None or group.atom is None:
            continue
        width, step = group.size - len(cut.remove), grain[group.atom]
        if width not in allowed_widths(group.size, step, 0.0):
            text = f"keeps {width} of {group.size} channels, the engine's grain is {step}"
            wrong.append(Finding("grain", False, text, group.name))
    return wrong or [Finding("grain", True, f"all widths are on the grain of {wanted}")]
