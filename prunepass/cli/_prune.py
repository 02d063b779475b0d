"""``prunepass prune``: a model goes in, a smaller model and its plan come out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._declared import all_declared
from .face import Face, spoken, table

if TYPE_CHECKING:
    from .._options import Options
    from .._prune import Result
    from ._models import Loaded


@click.command()
@click.argument("model")
@all_declared
@click.option("--config", metavar="FILE.toml", help="Options from a file; the command line wins.")
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
    from ._task import with_task
    from .progress import progress

    config, assignments = given.pop("config"), given.pop("assignments")
    asked = with_task(settings(config, given, assignments))
    loaded = _checked(model, asked, config, dry_run)
    from .._prune import prune as run

    with progress(face) as observer:
        result = run(loaded.model, loaded.inputs, form="graph", observers=(observer,), **asked.keywords())
        if not dry_run:
            _write(loaded, result, asked, config)
    if as_json:
        click.echo(result.report.to_json(timing=True), nl=False)
    else:
        _show(face, result, None if dry_run else asked.out)


def _checked(model: str, asked: Options, config: str | None, dry_run: bool) -> Loaded:
    """Everything that can be known to be wrong before the work begins."""
    from .._prune import pipeline_of
    from ..drivers import check_clock
    from ..ir import UsageError
    from ..measure import setting_of
    from ..targets import target_of
    from ._files import check_outputs
    from ._models import check_apart, load
    from ._reports import check_report
    from ._task import task_inputs

    if asked.out is None and not dry_run:
        raise UsageError("there is no output", advice="name one with -o OUT, or ask for a --dry-run")
    check_report(asked.report)
    if asked.target is not None:
        target_of(asked.target)
    check_clock(pipeline_of(asked), None if asked.backend is None else setting_of(asked.backend))
    outputs = (asked.out, asked.plan_out, _tensors(asked), asked.report, asked.depfile)
    check_outputs(outputs, (model, *((config,) if config else ()), *task_inputs(asked)))
    loaded = load(model, asked.shape)
    loaded.check_target(asked.out)
    check_apart(loaded, *outputs)
    return loaded


def _tensors(asked: Options) -> str | None:
    """Path that the plan's tensors shall have; it finds them beside it."""
    from ..ir import UsageError
    from ..passes import Tensors

    if asked.tensors_out is None:
        return None
    Tensors().stored_as(Path(asked.tensors_out).name)
    if asked.plan_out is None or Path(asked.tensors_out).parent != Path(asked.plan_out).parent:
        raise UsageError(
            "tensors are stored beside their plan",
            where=asked.tensors_out,
            advice="give --plan-out beside it",
        )
    return asked.tensors_out


def _write(loaded: Loaded, result: Result, asked: Options, config: str | None) -> None:
    from ._files import Outputs, depfile
    from ._models import save, sources
    from ._reports import write_report
    from ._task import task_files

    assert asked.out is not None
    with Outputs() as outputs:
        if asked.plan_out is not None:
            beside = None if asked.tensors_out is None else Path(asked.tensors_out).name
            result.plan.save(outputs.path(asked.plan_out), tensors=beside)
        save(loaded, result.model, outputs.path(asked.out))
        if asked.report is not None:
            write_report(outputs, asked.report, result.report, loaded, outputs.path(asked.out))
        if asked.depfile is not None:
            needs = (*sources(loaded), *((config,) if config else ()), *task_files(asked))
            outputs.text(asked.depfile, depfile(asked.out, needs))


def _show(face: Face, result: Result, out: str | None) -> None:
    report = result.report
    face.show(table(out or "nothing was written", ("", ">before", ">after", ">kept"), report.summary()))
    if face.verbosity > 0:
        rows = ((row.name, row.size, row.kept, "; ".join(row.pins)) for row in report.groups)
        face.show(table("groups", ("group", ">channels", ">kept", "pinned"), rows))
        face.show(table("MACs", ("layer", ">before", ">after", ">kept"), report.layer_table()))
    if report.dead is not None:
        face.show(_of_dead(report.dead))
    changes = ", ".join(f"{name} {change:.3g}" for name, change in sorted(report.changes.items()))
    if report.score:
        candidates = f" (output change of each candidate: {changes})" if changes else ""
        face.show(f"score: {report.score}{candidates}")
    if report.change is not None:
        where = " after the repair, on inputs held out" if report.fitted else ""
        face.show(f"output change{where}: {report.change}")
    if report.fitted:
        face.show(f"repair: {report.fitted}")
    if report.proof is not None:
        face.show(f"proof: {report.proof}")
    for note in report.notes():
        face.note(note)
    for place, one in enumerate(report.rounds, 1):
        face.show(f"round {place}: {one}")
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
