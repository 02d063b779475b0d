"""Pictures of the groups: a skyline of all, a bar for each, and the pinned ones by reason."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from ..drivers import GroupRow, note_of
from ._markup import Markup, joined, tag
from ._page import Page
from ._words import percent

_TALL = 100.0
_PLACES = 60


def groups(page: Page) -> Markup:
    """The section; nothing where the page has no groups."""
    if not page.groups:
        return joined()
    free = [row for row in page.groups if not row.pins]
    pinned = [row for row in page.groups if row.pins]
    title = "Coupled channels" if page.after is None else "What was cut where"
    return tag(
        "section",
        tag("h2", title),
        tag("p", _summary(page, free), class_="lead"),
        _skyline(free) if free else "",
        _key(page) if free else "",
        _list(free, most_cut=page.after is not None) if free else "",
        _pinned(pinned) if pinned else "",
        id_="groups",
    )


def _summary(page: Page, free: Sequence[GroupRow]) -> str:
    size, kept = sum(row.size for row in free), sum(row.kept for row in free)
    touched = sum(row.kept < row.size for row in free)
    if page.after is None:
        return f"{len(free)} groups of coupled channels can be cut, {size:,} channels together."
    return (
        f"{size - kept:,} of {size:,} channels were cut ({percent((size - kept) / size if size else 0)}), "
        f"in {touched} of {len(free)} prunable groups. Channels of a group can only go together."
    )


def skyline(widths: Sequence[tuple[int, int]], names: Sequence[str] = (), *, label: str) -> Markup:
    """A column for each (size, kept), its height the square root of the channels; links where it has names."""
    tallest = sqrt(max(size for size, _ in widths))
    columns = []
    for at, (size, kept) in enumerate(widths):
        whole, stays = (_TALL * sqrt(part) / tallest for part in (size, kept))
        column = joined(_block(at, whole, "cut"), _block(at, stays, "kept"))
        if names:
            title = tag("title", f"{names[at]}: {kept} of {size} channels kept")
            column = tag("a", title, column, href=f"#g{at}", tabindex=-1)
        columns.append(column)
    box = f"0 0 {len(widths)} {_TALL:g}"
    return tag(
        "svg",
        columns,
        viewBox=box,
        preserveAspectRatio="none",
        class_="skyline",
        role="img",
        aria_label=label,
    )


def _block(at: int, height: float, kind: str) -> Markup:
    return tag("rect", x=at + 0.05, y=_TALL - height, width=0.9, height=height, class_=kind)


def _skyline(free: Sequence[GroupRow]) -> Markup:
    label = (
        "Channels kept and cut of every group, in the order of the network; the list below has the figures"
    )
    return skyline([(row.size, row.kept) for row in free], [row.name for row in free], label=label)


def _key(page: Page) -> Markup:
    marks = [("kept", "kept")] if page.after is None else [("kept", "kept"), ("cut", "cut")]
    swatches = (tag("span", tag("i", class_=kind), word, class_="swatch") for kind, word in marks)
    text = "From the input to the output of the network; heights are square roots of channel counts."
    return tag("p", swatches, tag("span", text, class_="faint"), class_="key")


def _list(free: Sequence[GroupRow], *, most_cut: bool) -> Markup:
    orders = {"network": "of the network", "cut": "most cut first", "size": "largest first"}
    first = "cut" if most_cut else "network"
    options = (tag("option", text, value=key, selected=key == first) for key, text in orders.items())
    tools = tag(
        "div",
        tag("label", "Filter by name ", tag("input", type="search", id_="filter", autocomplete="off")),
        tag(
            "label",
            "Order ",
            tag("select", options, id_="order"),
        ),
        tag("output", f"{len(free)} groups", id_="count", aria_live="polite"),
        class_="tools scripted",
    )
    numbered = list(enumerate(free))
    if most_cut:
        numbered.sort(key=lambda pair: pair[1].kept / max(pair[1].size, 1))
    rows = (_row(at, row) for at, row in numbered)
    return joined(tools, tag("ol", rows, class_="groups", id_="list"))


def _row(at: int, row: GroupRow) -> Markup:
    share = row.kept / row.size if row.size else 1.0
    bar = tag(
        "span",
        tag("span", class_="kept", style=f"width:{100 * share:.1f}%"),
        class_="bar",
        title=f"{row.size - row.kept} of {row.size} cut",
    )
    count = str(row.size) if row.kept == row.size else f"{row.kept} of {row.size}"
    head = tag(
        "summary",
        tag("code", row.name, title=row.name),
        bar,
        tag("span", count, class_="n"),
    )
    return tag(
        "li",
        tag("details", head, _places(row)),
        id_=f"g{at}",
        data_name=row.name,
        data_size=row.size,
        data_cut=f"{1 - share:.4f}",
    )


def _places(row: GroupRow) -> Markup:
    shown = [tag("li", tag("code", place)) for place in row.places[:_PLACES]]
    more = len(row.places) - len(shown)
    note = note_of(row)
    return joined(
        tag("p", f"These channels occur in {row.members} places, of:", class_="faint"),
        tag("ul", shown, tag("li", f"and {more} more") if more > 0 else ""),
        tag("p", f"Inexact: {note}") if note else "",
    )


def _pinned(rows: Sequence[GroupRow]) -> Markup:
    reasons: dict[str, list[GroupRow]] = {}
    for row in rows:
        reasons.setdefault("; ".join(row.pins), []).append(row)
    items = (
        tag(
            "li",
            tag("strong", reason),
            tag("ul", [tag("li", tag("code", row.name), f" {row.size} channels") for row in found]),
        )
        for reason, found in reasons.items()
    )
    head = f"{len(rows)} pinned group{'s' * (len(rows) != 1)}, which may not be cut, and why"
    return tag("details", tag("summary", head), tag("ul", items), class_="pinned")
