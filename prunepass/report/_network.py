"""The network itself: its layers as a graph, each filled by what was kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from ..drivers import DrawnLayer
from ._layered import Placed, placed
from ._markup import Markup, joined, tag
from ._page import Page
from ._words import percent, short

_WIDE, _HIGH, _JOIN, _STEP, _APART, _MARGIN = 152.0, 34.0, 20.0, 52.0, 166.0, 40.0
_LETTERS = 24
# An edge past other boxes swings out by so much, and so much more for each row that it passes.
_SWING, _SWING_ROW, _SWING_MOST = 86.0, 5.0, 180.0


def network(page: Page) -> Markup:
    """The section; nothing where the page has no layers to draw."""
    if len(page.wiring) < 2:
        return joined()
    text = (
        "Layers from the input to the outputs, with the channels that each makes; a bar is filled by the work that "
        "is left of it. Choose a layer to see its channels in the list below."
    )
    buttons = [
        tag("button", word, type="button", data_zoom=factor, aria_label=label)
        for word, factor, label in (
            ("\u2212", "0.8", "smaller"),
            ("+", "1.25", "larger"),
            ("fit", "0", "fit"),
        )
    ]
    picture = tag(
        "div", _drawn(page.wiring), class_="network", role="region", aria_label="Network", tabindex=0
    )
    return tag(
        "section",
        tag("h2", "The network"),
        tag("p", text, class_="lead"),
        tag("div", buttons, class_="zoom scripted"),
        picture,
        id_="network",
    )


def _drawn(boxes: Sequence[DrawnLayer]) -> Markup:
    where = placed([one.reads for one in boxes])
    reach = _reach(boxes, where)
    wide = 2 * reach
    high = max(where.rows) * _STEP + _HIGH + 8
    lines = [line for at in range(len(boxes)) for line in _lines(at, boxes, where)]
    shapes = [_box(one, *_centre(where, at)) for at, one in enumerate(boxes)]
    return tag(
        "svg",
        tag("g", lines, class_="edges"),
        shapes,
        viewBox=f"{-wide / 2:g} {-_HIGH / 2 - 4:g} {wide:g} {high:g}",
        width=round(wide),
        height=round(high),
    )


def _reach(boxes: Sequence[DrawnLayer], where: Placed) -> float:
    """Half of the width of the picture: the outermost box or swing of an edge."""
    outer = max(abs(column) for column in where.columns) * _APART + _WIDE / 2
    edges = ((read, at) for at, one in enumerate(boxes) for read in one.reads)
    swings = [abs(_swing(where, *edge)) for edge in edges if where.blocked(*edge)]
    return max(outer, *swings, 0.0) + _MARGIN / 4


def _centre(where: Placed, at: int) -> tuple[float, float]:
    return where.columns[at] * _APART, where.rows[at] * _STEP


def _swing(where: Placed, read: int, at: int) -> float:
    """The column that an edge runs in, on the side to which its ends lean."""
    rows = where.rows[at] - where.rows[read]
    side = -1 if where.columns[at] + where.columns[read] < 0 else 1
    inner = max(side * where.columns[at], side * where.columns[read]) * _APART
    return side * (inner + min(_SWING + _SWING_ROW * rows, _SWING_MOST))


def _lines(at: int, boxes: Sequence[DrawnLayer], where: Placed) -> Iterator[Markup]:
    right, low = _centre(where, at)
    for read in boxes[at].reads:
        left, top = _centre(where, read)
        start, end = top + _half(boxes[read]), low - _half(boxes[at])
        if where.blocked(read, at):
            out, turn = _swing(where, read, at), min(_STEP, (end - start) / 2)
            near, far = start + turn / 2, end - turn / 2
            path = f"M{left:g} {start:g}C{out:g} {near:g} {out:g} {near:g} {out:g} {start + turn:g}"
            path += f"V{end - turn:g}C{out:g} {far:g} {out:g} {far:g} {right:g} {end:g}"
        else:
            middle = (start + end) / 2
            path = f"M{left:g} {start:g}C{left:g} {middle:g} {right:g} {middle:g} {right:g} {end:g}"
        yield tag("path", d=path)


def _half(one: DrawnLayer) -> float:
    return (_JOIN if one.kind == "join" else _HIGH) / 2


def _box(one: DrawnLayer, x: float, y: float) -> Markup:
    if one.kind == "join":
        title = tag("title", f"{one.name}: {_widths(one)} channels")
        return tag("g", title, _rect(x, y, 64.0, _JOIN, "join"), _text(one.name, x, y + 4), class_="box")
    label = one.name if len(one.name) <= _LETTERS else f"\u2026{one.name[1 - _LETTERS :]}"
    if one.kind == "input":
        return tag("g", _rect(x, y, _WIDE, _HIGH, "join"), _text(label, x, y + 4), class_="box")
    kept = one.macs[1] / one.macs[0] if one.macs[0] else 1.0
    work = f"{short(one.macs[0])} \u2192 {short(one.macs[1])} MACs, {percent(kept)} kept"
    left = x - _WIDE / 2
    shape = joined(
        tag("title", f"{one.name}: {_widths(one)} channels, {work}"),
        _rect(x, y, _WIDE, _HIGH, "ground"),
        tag("rect", x=left, y=y + _HIGH / 2 - 7, width=_WIDE, height=7.0, class_="cut"),
        tag("rect", x=left, y=y + _HIGH / 2 - 7, width=_WIDE * min(kept, 1.0), height=7.0, class_="kept"),
        _text(label, x, y - 5),
        _text(_widths(one), x, y + 7, "faint"),
    )
    return tag("a", shape, href=f"#filter={quote(one.name)}", class_="box")


def _widths(one: DrawnLayer) -> str:
    before, after = one.channels
    if not before:
        return "no"
    return f"{before}" if before == after else f"{before} \u2192 {after}"


def _rect(x: float, y: float, wide: float, high: float, kind: str) -> Markup:
    return tag("rect", x=x - wide / 2, y=y - high / 2, width=wide, height=high, rx=4.0, class_=kind)


def _text(text: str, x: float, y: float, kind: str = "") -> Markup:
    return tag("text", text, x=x, y=y, class_=kind or None)
