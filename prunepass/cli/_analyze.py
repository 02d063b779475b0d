"""``prunepass analyze``: what is coupled, what is pinned and why, what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._declared import declared
from .face import Face, spoken, table

if TYPE_CHECKING:
    from .._analyze import Analysis

_SHAPE = "Shape of an example input, NAME=1,3,224,224; repeat for more."


@click.command()
@click.argument("model")
@declared("keep")
@declared("free")
@declared("shape", help=_SHAPE)
@declared("report", help="Also write a page or a figure: .html, .png or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def analyze(
    face: Face, model: str, shape: tuple[str, ...], report: str | None, as_json: bool, **given: Any
) -> None:
    """Show what is coupled in MODEL, what is pinned and why.

    Each group of coupled channels can only be cut together. The cost is that of one run at the captured
    shapes.
    """
    from .._analyze import analyze as run
    from .._analyze import capture
    from ..drivers import note_of, unread_note
    from ._models import check_apart, load
    from ._reports import PAGES, check_report
    from .progress import progress

    check_report(report, PAGES)
    with progress(face):
        loaded = load(model, shape)
        check_apart(loaded, report)
        graph = capture(loaded.model, loaded.inputs)
        found = run(graph, **given)
    if report is not None:
        _write(report, model, found)
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    cost = found.cost
    rows = found.rows()
    prunable = sum(not row.pins for row in rows)
    face.show(
        table(
            f"{model}: {prunable} prunable groups of {len(rows)}",
            ("group", ">channels", ">places", "note"),
            ((row.name, row.size, row.members, note_of(row)) for row in rows),
        ),
        f"{cost.macs:,} multiply-accumulates, {cost.params:,} params ({cost.size:,} bytes), "
        f"{cost.channels:,} prunable channels",
    )
    if found.unread:
        face.note(unread_note(found.unread))
    if face.verbosity > 0:
        places = ((g.name, m.role, m.node, f"{m.tensor}[{m.axis}]") for g in found.groups for m in g.members)
        face.show(table("where the channels occur", ("group", "role", "node", "tensor[axis]"), places))


def _write(report: str, model: str, found: Analysis) -> None:
    from ..report import page_of_analysis
    from ._files import Outputs
    from ._reports import write_page

    with Outputs() as outputs:
        write_page(outputs, report, page_of_analysis(found, title=Path(model).name))
