"""Candidates of a sweep: speed against quality, those that no other one beats, and all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence

from ._groups import skyline
from ._headline import scrolling
from ._markup import Markup, joined, tag
from ._page import Page, Trial
from ._pareto import front
from ._plot import plot
from ._words import interval, percent, small, times


def trials(page: Page) -> Markup:
    """The section; nothing where nothing was tried."""
    if not page.trials:
        return joined()
    inside = [tag("h2", "Candidates")]
    best: tuple[Trial, ...] = ()
    if page.quality is not None:
        best = front(page.trials, page.quality)
        inside += [
            tag("p", page.quality.meaning, class_="lead"),
            plot(page.trials, best, page.quality, page.clock),
        ]
    inside.append(_table(page, best))
    return tag("section", inside, id_="trials")


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
