"""Candidates of a sweep: speed against quality, those that no other one beats, and all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ._groups import skyline
from ._markup import Markup, joined, tag
from ._page import Page, Quality, Trial
from ._pareto import front
from ._headline import scrolling
from ._words import interval, percent, small, ticks, times


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
    shown = [(at, t, t.faster.median, t.quality) for at, t in enumerate(tried) if t.faster and t.quality is not None]
    if not shown:
        return tag("p", "No candidate was measured.", class_="faint")
    across = _Scale([1.0, *(x for _, _, x, _ in shown)])
    up = _Scale([y for _, _, _, y in shown])
    line = " ".join(
        f"{across.at(t.faster.median):.2f},{100 - up.at(t.quality):.2f}"
        for t in best
        if t.faster is not None and t.quality is not None
    )
    chart = tag(
        "svg",
        tag("polyline", points=line, vector_effect="non-scaling-stroke"),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    points = (_point(at, t, (across.at(x), up.at(y)), t in best) for at, t, x, y in shown)
    return tag(
        "figure",
        tag("figcaption", f"↑ {quality.name}", class_="faint"),
        tag("div", chart, across.marks("left", "×"), up.marks("bottom"), points, class_="plot"),
        tag("p", "times as fast as the original (CPU time, median) →", class_="faint right"),
    )


class _Scale:
    """From values to percent of an axis, with some air at both ends."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self.low, self.high = low - air, high + air

    def at(self, value: float) -> float:
        return 100 * (value - self.low) / (self.high - self.low)

    def marks(self, side: str, unit: str = "") -> Iterator[Markup]:
        for tick in ticks(self.low, self.high):
            yield tag("span", f"{tick:g}{unit}", class_=f"mark {side}", style=f"{side}:{self.at(tick):.2f}%")


def _point(at: int, trial: Trial, place: tuple[float, float], best: bool) -> Markup:
    kind = "point front" if best else "point"
    kind += " leftward" if place[0] > 55 else ""
    style = f"left:{place[0]:.2f}%;bottom:{place[1]:.2f}%"
    return tag("a", tag("span", trial.name), href=f"#t{at}", class_=kind, style=style)


def _table(page: Page, best: Sequence[Trial]) -> Markup:
    columns = ["candidate", "MACs kept", "times as fast", "p10 to p90"]
    columns += [page.quality.name] if page.quality else []
    columns += ["proof: worst error", "where its channels stayed"]
    head = (tag("th", name, scope="col", class_="n" if 0 < at < 6 else None) for at, name in enumerate(columns))
    rows = (_row(at, trial, page, trial in best, len(columns)) for at, trial in enumerate(page.trials))
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="trials")
    return scrolling(table, "All candidates")


def _row(at: int, trial: Trial, page: Page, best: bool, columns: int) -> Markup:
    star = tag("b", " ★ on the front", class_="good") if best else ""
    files = (tag("a", name.rpartition("/")[2], href=name) for name in trial.files)
    name = tag("th", trial.name, star, tag("small", files, class_="files"), scope="row")
    if trial.reason:
        return tag("tr", name, tag("td", trial.reason, colspan=columns - 1, class_="reason"), id_=f"t{at}")
    numbers = [
        percent(trial.kept) if trial.kept is not None else "–",
        times(trial.faster) if trial.faster else "–",
        interval(trial.faster) if trial.faster else "–",
    ]
    if page.quality is not None:
        numbers.append(f"{trial.quality:.4g}" if trial.quality is not None else "–")
    numbers.append(small(trial.worst) if trial.worst is not None else "–")
    cells = (tag("td", number, class_="n") for number in numbers)
    label = f"Channels kept and cut of every group by {trial.name}"
    picture = skyline(trial.widths, label=label) if trial.widths else ""
    return tag("tr", name, cells, tag("td", picture), id_=f"t{at}")
