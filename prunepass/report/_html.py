"""A report as one page that needs nothing beside it.

Written by hand as HTML and CSS rather than by a plotting library: the page stays at some kilobytes a group
where a library would put megabytes of script into each, its text can be selected, zoomed, printed and read
aloud, and it needs no script to be read: the few lines there are filter and sort.
"""

from __future__ import annotations

from importlib.resources import files

from ._groups import groups
from ._headline import headline, proof
from ._latency import latency
from ._layers import layers
from ._markup import Markup, tag
from ._network import network
from ._page import Page
from ._trials import trials
from ._work import work


def to_html(page: Page) -> str:
    """The page; the same bytes for the same page."""
    title = f"{page.title}: {'analysed' if page.after is None and not page.trials else 'pruned'} by prunepass"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", _own("page.css")),
    )
    main = tag(
        "main",
        headline(page),
        proof(page) if page.after is not None else "",
        trials(page),
        network(page),
        groups(page),
        work(page),
        latency(page) if not page.trials else "",
        layers(page),
        _notes(page),
    )
    header = tag("header", tag("p", _kind(page), class_="kind"), tag("h1", page.title))
    body = tag("body", header, main, tag("script", _own("page.js")))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _kind(page: Page) -> str:
    if page.trials:
        return "prunepass sweep"
    return "prunepass analysis" if page.after is None else "prunepass report"


def _own(name: str) -> Markup:
    """A file of this package; it holds no ``<``, so nothing in it ends the element it stands in."""
    return Markup((files("prunepass.report") / name).read_text("utf-8"))


def _notes(page: Page) -> Markup:
    rows = [
        (kind, f"{page.before[kind]:,}", _after(page, kind))
        for kind in ("macs", "params", "size", "channels")
    ]
    exact = tag(
        "details",
        tag("summary", "Exact figures"),
        tag(
            "table",
            tag(
                "thead",
                tag(
                    "tr", [tag("th", name, class_="n" if name else None) for name in ("", "before", "after")]
                ),
            ),
            tag(
                "tbody",
                (
                    tag("tr", tag("td", a), tag("td", b, class_="n"), tag("td", c, class_="n"))
                    for a, b, c in rows
                ),
            ),
        ),
    )
    return tag("section", tag("h2", "How"), [tag("p", note) for note in page.notes], exact, id_="how")


def _after(page: Page, kind: str) -> str:
    return f"{page.after[kind]:,}" if page.after is not None else ""
