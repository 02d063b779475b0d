"""The first thing that is seen: what it cost, what it costs now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..measure import CLOCKS, Comparison, Ratio
from ._markup import Markup, joined, tag
from ._page import Page, Quality, Trial
from ._pareto import front
from ._words import MINUS, TIMES, interval, percent, short, small, three, times


def headline(page: Page) -> Markup:
    """Cards of costs, of latency where it was measured, and of accuracy where it is known."""
    cards = [_cost(page, "macs", "multiply-accumulates"), _cost(page, "params", "parameters")]
    if page.timing is not None and len(page.timing.engines) > 1:
        cards += list(_latency(page.timing))
    if page.quality is not None:
        cards += [_best(trial, page.quality) for trial in front(page.trials, page.quality)[-3:]]
    cards += [_accuracy(name, pair) for name, pair in sorted(page.accuracy.items())]
    return tag("section", tag("h2", "At a glance", class_="seen-not"), tag("div", cards, class_="cards"))


def _card(label: str, big: str, *lines: str, mood: str = "") -> Markup:
    rest = (tag("div", line) for line in lines)
    kind = f"card {mood}".rstrip()
    return tag("div", tag("h3", label), tag("div", big, class_="big"), rest, class_=kind)


def _cost(page: Page, kind: str, label: str) -> Markup:
    """Numbers of one kind; bytes go with the parameters."""
    old, new = page.before[kind], page.after[kind] if page.after is not None else None
    amounts = [_change(page, kind, "")] + ([_change(page, "size", "B")] if kind == "params" else [])
    if new is None:
        return _card(label, amounts[0], *amounts[1:], f"{old:,} exactly")
    kept = new / old if old else 1.0
    fewer = f"{percent(kept)} kept" + (f", {old / new:.2f}{TIMES} fewer" if new else "")
    return _card(label, f"{MINUS}{percent(1 - kept)}", *amounts, fewer)


def _change(page: Page, kind: str, unit: str) -> str:
    old = short(page.before[kind], unit)
    return old if page.after is None else f"{old} → {short(page.after[kind], unit)}"


def _latency(timing: Comparison) -> Iterator[Markup]:
    first, last = timing.engines[0], timing.engines[1]
    for clock in timing.clocks:
        old, new, ratio = first.time(clock), last.time(clock), last.faster(clock)
        medians = f"{three(old.median)} → {three(new.median)} ms, medians"
        spread = f"{interval(ratio)}, p10 to p90"
        yield _card(f"latency, {CLOCKS[clock]} time", _pace(ratio), medians, spread, mood=_mood(ratio))


def _best(trial: Trial, quality: Quality) -> Markup:
    assert trial.faster is not None and trial.quality is not None
    lines = (
        f"{percent(trial.kept)} of the MACs kept" if trial.kept is not None else "",
        f"{quality.name} {trial.quality:.3g}",
    )
    return _card(f"★ {trial.name}", _pace(trial.faster), *lines, mood=_mood(trial.faster))


def _pace(ratio: Ratio) -> str:
    return f"{times(ratio)} {'faster' if ratio.median >= 1 else 'as fast'}"


def _mood(ratio: Ratio) -> str:
    """Good or bad only where the whole interval says so."""
    return "good" if ratio.p10 > 1 else "bad" if ratio.p90 < 1 else ""


def _accuracy(name: str, pair: tuple[float, float]) -> Markup:
    before, after = pair
    return _card(
        name, f"{after:.4g}", f"{before:.4g} → {after:.4g}", f"{after - before:+.3g}".replace("-", MINUS)
    )


def proof(page: Page) -> Markup:
    """The proof in words: values compared, the worst error, and the bound."""
    if page.proof is None and page.host is None:
        return tag("section", tag("h2", "Proof"), tag("p", "No proof was asked for."))
    rows = []
    if page.proof is not None:
        found = page.proof
        where = f"reference interpreter, float64, worst at {found.where}"
        rows.append((where, f"{found.values:,}", found.worst, found.tolerance))
    if page.host is not None:
        rows.append(("its own host, outputs alone", "-", page.host.worst, page.host.tolerance))
    holds = all(worst <= tolerance for _, _, worst, tolerance in rows)
    verdict = "The pruned model computes what the original computes without the cut channels."
    text = verdict if holds else "The proof does not hold."
    columns = ("compared in", "values", "worst relative error", "tolerance", "margin")
    cells = (
        (where, values, small(worst), small(tolerance), _margin(worst, tolerance))
        for where, values, worst, tolerance in rows
    )
    return tag(
        "section",
        tag("h2", "Proof"),
        tag("p", tag("strong", "✓ " if holds else "✗ ", class_="good" if holds else "bad"), text),
        tag("details", tag("summary", "In figures"), figures(columns, cells, label="The proof in figures")),
    )


def _margin(worst: float, tolerance: float) -> str:
    if not worst:
        return "exact"
    factor = tolerance / worst
    return f"{factor:,.{0 if factor >= 10 else 2}f}{TIMES} below" if factor >= 1 else "exceeded"


def figures(columns: tuple[str, ...], rows: Iterable[Sequence[str]], *, label: str, names: int = 1) -> Markup:
    """A table whose first ``names`` columns are text and the others numbers; it scrolls where it is too wide."""
    head = (
        tag("th", name, scope="col", class_=None if at < names else "n") for at, name in enumerate(columns)
    )
    body = [
        tag("tr", [tag("td", cell, class_=None if at < names else "n") for at, cell in enumerate(row)])
        for row in rows
    ]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", body))
    return scrolling(table, label)


def scrolling(table: Markup, label: str) -> Markup:
    return tag("div", joined(table), class_="wide", role="region", aria_label=label, tabindex=0)
