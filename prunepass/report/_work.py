"""Work of each layer before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ._headline import figures
from ._markup import Markup, joined, tag
from ._page import Page
from ._words import percent


def work(page: Page) -> Markup:
    """The section; nothing where the page has no layers."""
    if not page.layers:
        return joined()
    columns = ("layer", "before", "after", "kept", "share")
    table = figures(columns, list(_rows(page)), label="Multiply-accumulates by layer")
    text = f"Multiply-accumulates of {len(page.layers)} layers; the share is that of all that are left."
    title = "Layer by layer"
    return tag("section", tag("h2", title), tag("details", tag("summary", text), table), id_="work")


def _rows(page: Page) -> Iterator[Sequence[str]]:
    left = sum(row.after for row in page.layers) or 1
    for row in page.layers:
        kept = row.after / row.before if row.before else 1.0
        yield row.name, f"{row.before:,}", f"{row.after:,}", percent(kept), percent(row.after / left)
