"""Candidates of a sweep: speed against quality, those that no other one beats, and all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..measure import Ratio
from ._groups import skyline
from ._headline import scrolling
from ._markup import Markup, joined, tag
from ._page import Page, Quality, Trial
from ._pareto import front
from ._words import TIMES, interval, percent, small, ticks, times


def trials(page: Page) -> Markup:
    """The section; nothing where nothing was tried."""
    if not page.trials:
        return joined()
    inside = [tag("h2", "Candidates")]
    best: tuple[Trial, ...] = ()
    if page.quality is not None:
        best = front(page.trials, page.quality)
        inside += [tag("p", page.quality.meaning, class_="lead"), _plot(page.trials, best, page.quality)]
    inside.append(_table(page, best))
    return tag("section", inside, id_="trials")


def _plot(tried: Sequence[Trial], best: Sequence[Trial], quality: Quality) -> Markup:
    """Right is faster, up is better: where less is better the axis is upside down."""
    shown = [(at, t, t.faster, t.quality) for at, t in enumerate(tried) if t.faster and t.quality is not None]
    if not shown:
        return tag("p", "No candidate was measured.", class_="faint")
    across = _Scale([1.0, *(end for _, _, ratio, _ in shown for end in (ratio.p10, ratio.p90))])
    first = [quality.original] if quality.original is not None else []
    up = _Scale([*first, *(value for _, _, _, value in shown)], falling=not quality.rising)
    points = [_point(at, t, ratio, (across, up.at(value)), t in best) for at, t, ratio, value in shown]
    better = "" if quality.rising else ", less is better"
    return tag(
        "figure",
        tag("figcaption", f"\u2191 {quality.name}{better}", class_="faint"),
        tag(
            "div",
            _line(best, across, up),
            across.marks("left", TIMES),
            up.marks("bottom"),
            tag("span", class_="one", style=f"left:{across.at(1.0):.2f}%"),
            [_original(across.at(1.0), up.at(value)) for value in first],
            points,
            class_="plot",
        ),
        tag("p", "times as fast as the original (CPU time, median) \u2192", class_="faint right"),
    )


def _line(best: Sequence[Trial], across: _Scale, up: _Scale) -> Markup:
    corners = " ".join(
        f"{across.at(t.faster.median):.2f},{100 - up.at(t.quality):.2f}"
        for t in best
        if t.faster is not None and t.quality is not None
    )
    line = tag("polyline", points=corners, vector_effect="non-scaling-stroke")
    return tag("svg", line, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")


def _original(left: float, bottom: float) -> Markup:
    style = f"left:{left:.2f}%;bottom:{bottom:.2f}%"
    return tag("span", tag("span", "original"), class_="point original", style=style)


class _Scale:
    """From values to percent of an axis, with some air at both ends."""

    def __init__(self, values: Sequence[float], *, falling: bool = False) -> None:
        low, high = min(values), max(values)
        air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self._low, self._high, self._falling = low - air, high + air, falling

    def at(self, value: float) -> float:
        share = 100 * (value - self._low) / (self._high - self._low)
        return 100 - share if self._falling else share

    def marks(self, side: str, unit: str = "") -> Iterator[Markup]:
        for tick in ticks(self._low, self._high):
            style = f"{side}:{self.at(tick):.2f}%"
            yield tag("span", f"{tick:g}{unit}", class_=f"mark {side}", style=style)


def _point(at: int, trial: Trial, ratio: Ratio, place: tuple[_Scale, float], best: bool) -> Markup:
    across, bottom = place
    left, start, end = (across.at(value) for value in (ratio.median, ratio.p10, ratio.p90))
    kind = "point" + " front" * best + " leftward" * (left > 55)
    dot = tag(
        "a",
        tag("span", trial.name),
        href=f"#t{at}",
        class_=kind,
        style=f"left:{left:.2f}%;bottom:{bottom:.2f}%",
    )
    start, end = max(0.0, start), min(100.0, end)
    style = f"left:{start:.2f}%;width:{max(0.0, end - start):.2f}%;bottom:{bottom:.2f}%"
    return joined(tag("span", class_="whisker", style=style), dot)


def _table(page: Page, best: Sequence[Trial]) -> Markup:
    columns = ["candidate", "MACs kept", "times as fast"]
    columns += [page.quality.name] if page.quality else []
    columns += ["proof: worst error", "kept and cut, by group"]
    sides = [None, *["n"] * (len(columns) - 2), None]
    head = (tag("th", name, scope="col", class_=side) for name, side in zip(columns, sides, strict=True))
    rows = (_row(at, trial, page, trial in best, len(columns)) for at, trial in enumerate(page.trials))
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="trials")
    return scrolling(table, "All candidates")


def _row(at: int, trial: Trial, page: Page, best: bool, columns: int) -> Markup:
    star = (
        tag("b", " \u2605", class_="good", title="no other candidate is both faster and better")
        if best
        else ""
    )
    files = (tag("a", name.rpartition("/")[2], href=name) for name in trial.files)
    name = tag("th", trial.name, star, tag("small", files, class_="files"), scope="row")
    if trial.reason:
        return tag("tr", name, tag("td", trial.reason, colspan=columns - 1, class_="reason"), id_=f"t{at}")
    speed = joined(times(trial.faster), tag("small", interval(trial.faster))) if trial.faster else "-"
    numbers = [percent(trial.kept) if trial.kept is not None else "-", speed]
    if page.quality is not None:
        numbers.append(f"{trial.quality:.4g}" if trial.quality is not None else "-")
    numbers.append(small(trial.worst) if trial.worst is not None else "-")
    cells = (tag("td", number, class_="n") for number in numbers)
    label = f"Channels kept and cut of every group by {trial.name}"
    picture = skyline(trial.widths, label=label) if trial.widths else ""
    return tag("tr", name, cells, tag("td", picture), id_=f"t{at}")
