"""Engine layers of both models: counts by kind, and all of them side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..backends import Layer
from ._engine import EngineView, pairs
from ._headline import figures, scrolling
from ._markup import Markup, joined, tag
from ._page import Page

_NONE = (0, 0.0)


def layers(page: Page) -> Markup:
    """The section; nothing where no engine was looked at."""
    if not page.engines:
        return joined()
    names = " and ".join(view.backend for view in page.engines[:1])
    text = f"As {names} built it, after fusion. “blocked” computes on the engine's own layout of channels, "
    text += "“reorder” only moves data between layouts."
    inside = [tag("h2", "Engine layers"), tag("p", text, class_="lead"), _census(page.engines)]
    if len(page.engines) > 1:
        inside.append(_side_by_side(*page.engines[:2]))
    return tag("section", inside, id_="layers")


def _census(views: tuple[EngineView, ...]) -> Markup:
    found = [view.census() for view in views]
    kinds = {kind for census in found for kind in census}
    ordered = sorted(kinds, key=lambda kind: (-found[0].get(kind, _NONE)[0], kind))
    columns = ["kind", "layout"]
    for view in views:
        columns += [view.name, *(["\u00b5s"] if view.times else [])]
    rows = [[*kind, *_counts(views, [census.get(kind, _NONE) for census in found])] for kind in ordered]
    spent = [sum(time for _, time in census.values()) for census in found]
    sums = [(len(view.layers), time) for view, time in zip(views, spent, strict=True)]
    rows.append(["all", "", *_counts(views, sums)])
    return figures(tuple(columns), rows, label="Layers by kind", names=2)


def _counts(views: Sequence[EngineView], found: Sequence[tuple[int, float]]) -> Iterator[str]:
    for view, (count, spent) in zip(views, found, strict=True):
        yield str(count)
        if view.times:
            yield f"{spent:,.0f}"


def _side_by_side(before: EngineView, after: EngineView) -> Markup:
    head = [tag("th", f"{view.name}", scope="col") for view in (before, after)]
    timed = tag("th", "\u00b5s", scope="col", class_="n")
    rows = list(_pair_rows(before, after))
    changed = sum("alone" in row for row in rows)
    table = tag(
        "table",
        tag("thead", tag("tr", head[0], timed, head[1], timed)),
        tag("tbody", rows),
        class_="layers",
    )
    title = f"Every layer of both, {changed} of them in one only"
    return tag("details", tag("summary", title), scrolling(table, "Layers side by side"))


def _pair_rows(before: EngineView, after: EngineView) -> Iterator[Markup]:
    for left, right in pairs(before, after):
        alone = left is None or right is None
        cells = [*_cells(left, before), *_cells(right, after)]
        yield tag("tr", cells, class_="alone" if alone else None)


def _cells(layer: Layer | None, view: EngineView) -> tuple[Markup, Markup]:
    if layer is None:
        return tag("td", "-", class_="faint"), tag("td")
    covered = [node for node in layer.nodes if node != layer.name]
    time = view.times.get(layer.name)
    return (
        tag(
            "td",
            tag("b", layer.kind),
            tag("span", layer.layout, class_=f"badge {layer.layout}") if layer.layout else "",
            tag("code", layer.name),
            tag("small", f"covers {', '.join(covered)}") if covered else "",
        ),
        tag("td", "" if time is None else f"{time:,.0f}", class_="n"),
    )
