"""``prunepass prune``: a model goes in, a smaller model and its plan come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .face import Face, spoken, table

if TYPE_CHECKING:
    from .._prune import Result
    from ._models import Loaded
    from ._settings import Settings


@click.command()
@click.argument("model")
@click.option("-o", "--out", metavar="OUT", help="The pruned model: .onnx, or .pt2 for a torch model.")
@click.option(
    "--budget",
    metavar="KIND=FRACTION",
    help="Fractions kept: macs, params, size, channels, or latency as measured on --backend; or 'dead': what "
    "changes no output.  [macs=0.5]",
)
@click.option("--score", metavar="SCORE", help="A score, with options as in 'dfpc{normalize=mean}'.  [auto]")
@click.option("--align", type=click.IntRange(1), help="Channel counts come in multiples of this.  [1]")
@click.option(
    "--target",
    metavar="TARGET",
    help="Sets the multiple for an engine: a name ('prunepass passes') or a .toml.",
)
@click.option("--backend", metavar="B", help="Also measure on this engine; slower than before is an error.")
@click.option("--threads", type=click.IntRange(1), help="Of one inference on the backend.  [1]")
@click.option("--allow-slower", is_flag=True, default=None, help="Write a model that is slower there, too.")
@click.option("--keep", multiple=True, metavar="PATTERN", help="Layers to leave alone; repeat for more.")
@click.option("--shape", multiple=True, metavar="SHAPE", help="Shape of an example input, NAME=1,3,224,224.")
@click.option("--pipeline", metavar="PASSES", help="Replaces the default passes: 'couple | score | ...'.")
@click.option("--config", metavar="FILE.toml", help="Options from a file; the command line wins.")
@click.option("--plan-out", metavar="P.json", help="Also write the plan.")
@click.option("--report", metavar="R", help="Also write a report: .html, .json, .md, .png or .pdf.")
@click.option("--depfile", metavar="D", help="Also write what OUT depends on, in Makefile syntax.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override any option.")
@click.option("--dry-run", is_flag=True, help="Do everything but write.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON document on stdout.")
@spoken
def prune(face: Face, model: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Prune MODEL under a budget and prove the result.

    The proof: the pruned model computes what the original computes without the cut channels. Outputs appear
    whole or not at all; one that would not change is left as it is.
    """
    from ._settings import settings
    from .progress import progress

    config, assignments = given.pop("config"), given.pop("assignments")
    wanted = settings(config, given, assignments)
    loaded = _checked(model, wanted, config, dry_run)
    from .._prune import prune as run

    with progress(face) as observer:
        result = run(loaded.model, loaded.inputs, form="graph", observers=(observer,), **wanted.arguments())
        if not dry_run:
            _write(loaded, result, wanted, config)
    if as_json:
        click.echo(result.report.to_json(timing=True), nl=False)
    else:
        _show(face, result, None if dry_run else wanted.out)


def _checked(model: str, wanted: Settings, config: str | None, dry_run: bool) -> Loaded:
    """Everything that can be known to be wrong before the work begins."""
    from .._prune import check_clock, default_pipeline
    from ..ir import UsageError
    from ..measure import setting_of
    from ..passes import Pipeline, scores
    from ..targets import target_of
    from ._files import check_outputs
    from ._models import check_apart, load
    from ._reports import check_report

    if wanted.out is None and not dry_run:
        raise UsageError("there is no output", advice="name one with -o OUT, or ask for a --dry-run")
    check_report(wanted.report)
    if wanted.target is not None:
        target_of(wanted.target)
    default = default_pipeline(budget=wanted.budget, score=wanted.score)
    pipeline = Pipeline.parse(wanted.pipeline) if wanted.pipeline else default
    check_clock(pipeline, None if wanted.backend is None else setting_of(wanted.backend))
    for step in pipeline.steps:
        metric = getattr(step, "metric", "auto")
        if metric != "auto":
            scores.get(metric)
    inputs = [name for name in (model, config) if name is not None]
    outputs = (wanted.out, wanted.plan_out, wanted.report, wanted.depfile)
    check_outputs(outputs, inputs)
    loaded = load(model, wanted.shape)
    loaded.check_target(wanted.out)
    check_apart(loaded, *outputs)
    return loaded


def _write(loaded: Loaded, result: Result, wanted: Settings, config: str | None) -> None:
    from ._files import Outputs, depfile
    from ._models import save, sources
    from ._reports import write_report

    assert wanted.out is not None
    with Outputs() as outputs:
        if wanted.plan_out is not None:
            result.plan.save(outputs.path(wanted.plan_out))
        save(loaded, result.model, outputs.path(wanted.out))
        if wanted.report is not None:
            write_report(outputs, wanted.report, result.report, loaded, outputs.path(wanted.out))
        if wanted.depfile is not None:
            needs = (*sources(loaded), *((config,) if config else ()))
            outputs.text(wanted.depfile, depfile(wanted.out, needs))


def _show(face: Face, result: Result, out: str | None) -> None:
    report = result.report
    face.show(table(out or "nothing was written", ("", ">before", ">after", ">kept"), report.summary()))
    if face.verbosity > 0:
        rows = ((row.name, row.size, row.kept, "; ".join(row.pins)) for row in report.groups)
        face.show(table("groups", ("group", ">channels", ">kept", "pinned"), rows))
    if report.dead is not None:
        face.show(_of_dead(report.dead))
    changes = ", ".join(f"{name} {change:.3g}" for name, change in sorted(report.changes.items()))
    if report.score:
        candidates = f" (output change of each candidate: {changes})" if changes else ""
        face.show(f"score: {report.score}{candidates}")
    if report.change is not None:
        face.show(f"output change: {report.change}")
    if report.proof is not None:
        face.show(f"proof: {report.proof}")
    for note in report.notes():
        face.note(note)
    _show_time(face, result)
    if report.host is not None:
        face.show(f"host: outputs equal within {report.host.tolerance:.1e}, worst {report.host.worst:.1e}")
        if report.host.drawn:
            face.show(f"host: random, so only shapes were compared: {', '.join(report.host.drawn)}")


def _of_dead(count: int) -> str:
    if not count:
        return "dead: nothing is, so the model stays as it is"
    return f"dead: {count:,} channels changed no output and went"


def _show_time(face: Face, result: Result) -> None:
    timing, latency = result.report.timing, result.report.latency
    if timing is not None:
        face.show(timing.table())
    if latency is None:
        return
    rows = [
        (place, f"{one.predicted:.3f}", f"{one.measured:.3f}", f"{one.error:+.1%}")
        for place, one in enumerate(latency.rounds, 1)
    ]
    face.show(table("latency", (">round", ">predicted", ">measured", ">prediction off by"), rows))
    face.show(
        f"latency: {latency.measured:.3f} of the original by {latency.clock} time, budget {latency.budget:g}"
    )
