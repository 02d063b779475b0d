"""``prunepass sweep``: many candidates of one model, pruned, proven, measured and held against each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._declared import declared
from .face import Face, spoken, table

if TYPE_CHECKING:
    from ..backends import Clock
    from ..sweeps import Row, Sweep

_FAILED = 1
_SHARED = ("ratios", "policy", "repair", "driver", "data", "evaluate", "tune", "loss")


class _Several(click.ParamType[Any]):
    """Values with commas between them."""

    def __init__(self, one: Callable[[str], Any], name: str) -> None:
        self._one, self.name = one, name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(self._one(part.strip()) for part in _parts(value))
        except ValueError:
            self.fail(f"'{value}' is no list of {self.name}", param, ctx)


def _parts(text: str) -> Iterator[str]:
    """Commas inside braces belong to the options of a score."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


_ACCURACY = (
    "Prints a number as its last line, larger is better; {model} is the file.  [output change, no data]"
)
_RAY = "Prune and measure on a Ray cluster: its address, or 'local'."


@click.command()
@click.argument("model")
@declared("out", required=True, metavar="FOLDER", help="Where candidates are kept, made if missing.")
@click.option(
    "--budgets", type=_Several(float, "fractions"), default="0.8,0.6,0.4", show_default=True, metavar="LIST"
)
@click.option("--kind", default="macs", show_default=True, help="What the budgets are fractions of.")
@click.option("--scores", type=_Several(str, "scores"), default="auto", show_default=True, metavar="LIST")
@click.option("--aligns", type=_Several(int, "numbers"), default="1", show_default=True, metavar="LIST")
@declared("keep")
@declared("ratios")
@declared("policy")
@declared("repair")
@declared("driver")
@declared("data")
@declared("evaluate")
@declared("tune")
@declared("loss")
@declared("backend", default="onnxruntime", show_default=True, help="The engine that is timed.")
@declared("threads", default=1)
@click.option("--duration", type=click.FloatRange(0), default=3.0, show_default=True, help="Seconds a model.")
@click.option("--accuracy", default="", metavar="'CMD {model}'", help=_ACCURACY)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that prune.")
@click.option("--ray", metavar="ADDRESS", help=_RAY)
@declared("report", help="Also write a page or a figure: .html, .png or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def sweep(face: Face, model: str, out: str, report: str | None, as_json: bool, **options: Any) -> int:
    """Prune MODEL, an ONNX file, in every combination of budgets, scores and aligns.

    All other options hold for every candidate.
    Each candidate is proven and timed against the original. FOLDER keeps models and plans, and remembers what
    is done: the same command goes on where it was stopped. A candidate that cannot be made is a row with its
    reason; exit code 1 is for a sweep that made none.
    """
    from ..sweeps import NAME
    from ..sweeps import sweep as run
    from ._files import check_outputs
    from ._models import check_apart, load
    from ._reports import PAGES, check_report
    from ._settings import settings
    from ._task import task_inputs, with_task
    from .progress import progress

    check_report(report, PAGES)
    asked = with_task(settings(None, {name: options.pop(name) for name in _SHARED}))
    check_outputs((report,), (model, *task_inputs(asked)))
    if report is not None and Path(model).suffix == ".onnx":
        check_apart(load(model), report)
    try:
        with progress(face) as shown:
            found = run(model, out, tell=_teller(face, shown.say), **options, **asked.keywords())
    except (KeyboardInterrupt, SystemExit):
        if (Path(out) / NAME).is_file():
            face.note(f"{out} keeps what is done: the same command goes on from there")
        raise
    if report is not None:
        _write(report, found)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        _show(face, found)
    return 0 if found.done else _FAILED


def _teller(face: Face, say: Callable[[str], None]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        say(text)
        face.note(text, level=1)

    return tell


def _write(report: str, found: Sweep) -> None:
    from ..sweeps import page_of_sweep
    from ._files import Outputs
    from ._reports import write_page

    beside = Path(os.path.relpath(found.folder, Path(report).parent)).as_posix()
    with Outputs() as outputs:
        write_page(outputs, report, page_of_sweep(found, beside=beside))


def _show(face: Face, found: Sweep) -> None:
    from ..measure import CLOCKS
    from ..report import front
    from ..sweeps import page_of_sweep

    page = page_of_sweep(found)
    assert page.quality is not None
    clocks: tuple[Clock, ...] = tuple(dict.fromkeys((page.clock, "wall")))
    best = {trial.name for trial in front(page.trials, page.quality)}
    columns = (
        "candidate",
        ">MACs kept",
        *(f">faster ({CLOCKS[clock]})" for clock in clocks),
        f">{page.quality.name}",
        ">proof",
        "",
    )
    rows = (_cells(row, clocks, row.candidate.name in best, rising=page.quality.rising) for row in found.rows)
    face.show(table(f"{found.model}: {len(found.done)} of {len(found.rows)} candidates", columns, rows))
    face.show(f"* no other candidate is both faster and better. {page.quality.meaning}")


def _cells(row: Row, clocks: tuple[Clock, ...], best: bool, *, rising: bool) -> tuple[str, ...]:
    if row.failed:
        return (row.candidate.name, "-", *("-" for _ in clocks), "-", "-", row.reason)
    quality = row.accuracy if rising else row.change
    ratios = [row.timing.engines[1].faster(clock) for clock in clocks] if row.timing else []
    return (
        row.candidate.name,
        f"{row.kept['macs']:.3f}",
        *(f"{ratio.median:.2f}x ({ratio.p10:.2f}-{ratio.p90:.2f})" for ratio in ratios),
        "-" if quality is None else f"{quality:.4g}",
        f"{row.proof.worst:.1e}" if row.proof else "-",
        "*" if best else "",
    )
