"""Reports as files; the suffix says in which form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ._models import Loaded

if TYPE_CHECKING:
    from ..drivers import Report
    from ..report import EngineView, Page
    from ._files import Outputs

PAGES = (".html", ".png", ".pdf")
REPORTS = (".json", ".md", *PAGES)


def check_report(name: str | None, forms: tuple[str, ...] = REPORTS) -> None:
    """Refuse, before any work, what could not be written at its end.

    Raises:
        UsageError: there is no such form. BackendError: what draws it is missing.
    """
    from ..ir import UsageError

    if name is None:
        return
    suffix = Path(name).suffix
    if suffix not in forms:
        raise UsageError(f"a report ends in one of {', '.join(forms)}", where=name)
    if suffix not in (".json", ".md", ".html"):
        from ..report import drawing

        drawing()


def write_page(outputs: Outputs, target: str, page: Page) -> None:
    """Write ``page`` as HTML or as a figure."""
    from ..report import save_figure, to_html

    if Path(target).suffix == ".html":
        outputs.text(target, to_html(page))
    else:
        save_figure(page, outputs.path(target))


def write_report(outputs: Outputs, target: str, report: Report, loaded: Loaded, pruned: Path) -> None:
    """Write the report of a prune.

    Args:
        pruned: where the pruned model has been written.
    """
    from ..report import page_of

    if Path(target).suffix == ".json":
        outputs.text(target, report.to_json(timing=True))
    elif Path(target).suffix == ".md":
        outputs.text(target, report.to_markdown())
    else:
        title = Path(loaded.name).name
        write_page(outputs, target, page_of(report, title=title, engines=_engines(report, loaded, pruned)))


def _engines(report: Report, loaded: Loaded, pruned: Path) -> tuple[EngineView, ...]:
    """Views of both models as the timed engine compiled them, where it can read both."""
    from ..ir import PrunepassError
    from ..report import engine_view

    timing = getattr(report, "timing", None)
    if timing is None or loaded.host != "onnx" or pruned.suffix != ".onnx":
        return ()
    pair = (("original", loaded.model), ("pruned", pruned))
    try:
        return tuple(engine_view(model, timing.backend, name=name) for name, model in pair)
    except PrunepassError:
        return ()  # the report is about the prune: an engine that tells nothing of its layers does not stop it
