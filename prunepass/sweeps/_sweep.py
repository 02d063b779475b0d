"""``sweep``: try every combination, keep what came of it, and go on where it was stopped."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from .._options import BACKEND, NAMES, NUMBER, TEXT, WHOLE, Form, check, some
from ..backends import ready
from ..hosts import layer_names, open_model
from ..ir import UsageError, path_of
from ..measure import Timing
from ..passes import Cost, graph_cost, keep_matching
from . import _journal as journal
from ._clock import accuracy_of, command
from ._crew import Crew, LocalCrew
from ._grid import grid
from ._journal import Journal
from ._lock import held
from ._make import PARTIAL
from ._row import Job, Row, Setup
from ._shared import Shared

if TYPE_CHECKING:
    from typing_extensions import Unpack

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """Result of a sweep.

    Attributes:
        model: the file's name. folder: where the candidates are kept.
        before: costs of the original. accuracy: of the original, None where nothing tells it.
        rows: in the order asked for.
    """

    model: str
    folder: Path
    setup: Setup
    before: Cost
    accuracy: float | None
    rows: tuple[Row, ...]

    @property
    def done(self) -> tuple[Row, ...]:
        """Candidates that were made, proven and measured."""
        return tuple(row for row in self.rows if not row.failed)

    def to_json(self) -> str:
        """One JSON document with sorted keys."""
        data: dict[str, Any] = {
            "model": self.model,
            "setup": self.setup,
            "before": self.before,
            "accuracy": self.accuracy,
            "rows": self.rows,
        }
        return msgspec.json.format(msgspec.json.encode(data, order="sorted"), indent=1).decode() + "\n"


class SweepOptions(TypedDict, total=False):
    """The keywords of :func:`sweep` beyond what is combined, each optional; explained there."""

    kind: str
    keep: Sequence[str]
    policy: Any
    driver: Any
    repair: Any
    ratios: Mapping[str, float] | None
    task: Any
    backend: str
    threads: int
    duration: float
    accuracy: str
    workers: int
    ray: str | None
    tell: Tell | None


def sweep(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    budgets: Sequence[float] = (0.8, 0.6, 0.4),
    scores: Sequence[str] = ("auto",),
    aligns: Sequence[int] = (1,),
    **options: Unpack[SweepOptions],
) -> Sweep:
    """Prune ``model`` in every combination, prove and measure each, and keep all in ``folder``.

    A folder remembers what is done: the same call goes on where another one was stopped, and one that asks
    for more adds to it. A candidate that cannot be made is a row with its reason.

    Args:
        model: an ONNX file.
        budgets: fractions kept, of ``kind``. aligns: what channel counts are multiples of.
        keep: names or patterns of layers to leave alone.
        policy, driver, repair, ratios, task: of every prune, as for :func:`prunepass.prune`; what the task's
            ``evaluate`` gives is the accuracy where no command tells it.
        backend, threads, duration: of the timing, see :func:`prunepass.measure.compare`; every candidate is
            measured against the original, interleaved, while nothing else of the sweep runs there.
        accuracy: a command that prints a number as its last line, larger is better, with ``{model}`` where
            the file's path goes. No shell reads it.
        workers: processes that prune at the same time. A script of yours that asks for more than one needs
            the usual ``if __name__ == "__main__":``.
        ray: address of a Ray cluster, or ``local``: machines prune and measure instead of processes.
        tell: is told what happens.

    Raises:
        UsageError: an option is wrong, another sweep works in the folder, or it holds one of another model or
            with other options.
        ModelError: the model is invalid. BackendError: the backend or Ray is not available.
    """
    _check_forms({**options, "budgets": budgets, "scores": scores, "aligns": aligns})
    path, place = _onnx(model), path_of(folder, "a sweep keeps what it makes in a folder")
    wanted, shared = grid(budgets, scores, aligns, kind=options.get("kind", "macs")), Shared.of(options)
    crew = _crew(options.get("workers", 1), options.get("ray"), shared)
    setup = _setup(path, shared, options)
    jobs = [Job(path, place, candidate, setup, shared) for candidate in wanted]
    return _run(jobs, crew, options.get("tell") or _silent)


def _setup(model: Path, shared: Shared, options: SweepOptions) -> Setup:
    builder = ready(options.get("backend", "onnxruntime"))
    timing = Timing(threads=options.get("threads", 1), duration=options.get("duration", 3.0))
    return Setup(
        backend=builder.name,
        version=builder.version(),
        threads=timing.threads,
        duration=timing.duration,
        keep=layer_names(model, options.get("keep", ())),
        accuracy=options.get("accuracy", ""),
        **shared.setup(model),
    )


def _check_forms(options: Mapping[str, Any]) -> None:
    unknown = options.keys() - {*SweepOptions.__annotations__, "budgets", "scores", "aligns"}
    if unknown:
        what = f"sweep has no option {', '.join(sorted(unknown))}"
        raise UsageError(what, advice="help(prunepass.sweep) lists them")
    for name, value in options.items():
        if name in _FORMS:
            check(name, value, _FORMS[name], "sweep")


# What is declared for a prune holds for a sweep too; these are its own.
_FORMS: Mapping[str, Form] = {
    **dict.fromkeys(("kind", "accuracy"), TEXT),
    **dict.fromkeys(("threads", "workers"), WHOLE),
    "duration": NUMBER,
    "keep": NAMES,
    "backend": BACKEND,
    "budgets": Form("a list of fractions", some(NUMBER.fits)),
    "scores": Form("a list of scores", some(TEXT.fits)),
    "aligns": Form("a list of whole numbers", some(WHOLE.fits)),
}


def _run(jobs: Sequence[Job], crew: Crew, tell: Tell) -> Sweep:
    first = jobs[0]
    with held(first.folder):
        known = _opened(first, tell)
        for step in _rounds(known, jobs, crew, tell):
            step.save(first.folder)
            known = step
    rows = tuple(known.rows[job.candidate.key] for job in jobs)
    return Sweep(first.model.name, first.folder, first.setup, known.before, known.accuracy, rows)


def _silent(text: str) -> None:
    """Nobody listens."""


def _onnx(model: str | os.PathLike[str]) -> Path:
    path = path_of(model, "a sweep takes an ONNX file")
    if not path.is_file():
        raise UsageError("there is no such file", where=str(model), advice="a sweep takes an ONNX file")
    if path.suffix != ".onnx":
        advice = "write the model as ONNX first, with torch.onnx.export(dynamo=True)"
        raise UsageError(
            "a sweep measures on engines, which read ONNX files", where=str(model), advice=advice
        )
    return path


def _crew(workers: int, ray: str | None, shared: Shared) -> Crew:
    if workers < 1:
        raise UsageError(f"{workers} workers do nothing", advice="one at least")
    if ray is None:
        if workers > 1:
            shared.check_sent(pickle.dumps)
        return LocalCrew(workers)
    from ._ray import RayCrew

    return RayCrew(ray, shared)


def _opened(job: Job, tell: Tell) -> Journal:
    """The journal of the folder of ``job``, checked; a new one where there is none."""
    path, folder, setup = job.model, job.folder, job.setup
    if setup.accuracy:
        command(setup.accuracy)
    model = journal.hash_of(files_of(path))
    known = journal.load(folder)
    if known is not None:
        journal.check(known, model, setup, folder)
        for left in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        return known.standing(folder)
    tell("reading the model")
    before = graph_cost(keep_matching(open_model(path).graph, setup.keep))
    accuracy = accuracy_of(setup, path) if setup.accuracy else job.shared.evaluated(_loaded(path))
    fresh = Journal(model=model, setup=setup, before=before, accuracy=accuracy)
    fresh.save(folder)
    return fresh


def files_of(path: Path) -> tuple[Path, ...]:
    """The file and those that hold its weights."""
    values = _loaded(path).graph.initializers.values()
    places = (getattr(value.const_value, "path", None) for value in values)
    return (path, *dict.fromkeys(Path(place) for place in places if place is not None))


def _loaded(path: Path) -> Any:
    from ..hosts.onnx import load

    return load(path)


def _rounds(known: Journal, jobs: Sequence[Job], crew: Crew, tell: Tell) -> Iterator[Journal]:
    """The journal after every step: first everything is pruned, then, while it is quiet, measured."""
    missing = [job for job in jobs if job.candidate.key not in known.rows]
    tell(f"pruning {len(missing)} of {len(jobs)} candidates")
    for at, row in enumerate(crew.prune(missing), 1):
        known = known.with_row(row)
        yield known
        tell(f"pruned {at} of {len(missing)}: {row.candidate.name}" + (": failed" if row.failed else ""))
    pairs = [(job, known.rows[job.candidate.key]) for job in jobs]
    unmeasured = [(job, row) for job, row in pairs if not row.failed and row.timing is None]
    for at, row in enumerate(crew.measure(unmeasured), 1):
        known = known.with_row(row)
        yield known
        tell(f"measured {at} of {len(unmeasured)}: {row.candidate.name}")
    yield known
