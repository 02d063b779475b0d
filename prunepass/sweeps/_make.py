"""Making one candidate: in this process, in one of several, or on another machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .._prune import Result, prune
from ..hosts import open_model
from ..ir import PrunepassError
from ..passes import cut, keep_matching, output_change
from ._row import MODEL, PLAN, REPORT, Job, Row

PARTIAL = ".partial-"


def make(job: Job) -> Row:
    """Prune, prove and keep one candidate; its folder appears whole or not at all. A failure is a row too."""
    return guarded(job, _made)


def guarded(job: Job, work: Callable[[Job], Row]) -> Row:
    """The result of ``work``, or a row with the reason why there is none."""
    try:
        return work(job)
    except PrunepassError as error:
        return Row(candidate=job.candidate, rule=error.rule, reason=_why(error))
    except Exception as error:  # one candidate's fault is not the end of the others
        return Row(candidate=job.candidate, rule="internal", reason=f"{type(error).__name__}: {error}")


def _why(error: PrunepassError) -> str:
    """Without the advice: a row is no place to act on it."""
    return f"{error.where}: {error.what}" if error.where else error.what


def _made(job: Job) -> Row:
    candidate = job.candidate
    result = prune(
        job.model,
        budget=candidate.budget,
        score=candidate.score,
        align=candidate.align,
        keep=job.setup.keep,
        **job.shared.keywords(),
    )
    row = _row(job, result)
    _keep(job, result)
    return row


def _row(job: Job, result: Result) -> Row:
    report, plan = result.report, result.plan
    graph = plan.constrain(keep_matching(open_model(job.model).graph, job.setup.keep))
    kinds = ("macs", "params", "size", "channels")
    evaluated = None if report.evaluation is None else report.evaluation.after
    return Row(
        candidate=job.candidate,
        kept={kind: report.after[kind] / max(1, report.before[kind]) for kind in kinds},
        change=output_change(graph, cut(graph, plan)),
        proof=report.proof,
        accuracy=None if job.setup.accuracy else evaluated,
        widths=tuple((row.name, row.size, row.kept) for row in report.groups if not row.pins),
    )


def _keep(job: Job, result: Result) -> None:
    from ..hosts.onnx import save

    def write(staged: Path) -> None:
        save(result.model, staged / MODEL)
        result.plan.save(staged / PLAN)
        (staged / REPORT).write_text(result.report.to_json(), encoding="utf-8", newline="\n")

    place_whole(job.place, write)


def place_whole(place: Path, write: Callable[[Path], object]) -> None:
    """Make the folder ``place`` with what ``write`` writes into the folder it is given, or leave it alone."""
    staged = place.with_name(f"{PARTIAL}{place.name}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        write(staged)
        shutil.rmtree(place, ignore_errors=True)
        staged.rename(place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
