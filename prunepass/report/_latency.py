"""Latency on an axis: medians with the interval from p10 to p90; and predictions against measurements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..measure import CLOCKS, Comparison, Measurement, Statistics
from ._headline import figures
from ._markup import Markup, joined, tag
from ._page import Page
from ._words import MINUS, interval, three, ticks, times


def latency(page: Page) -> Markup:
    """The section; it says so where nothing was measured."""
    if page.after is None:
        return joined()
    if page.timing is None:
        advice = "Latency was not measured. “prunepass bench ORIGINAL PRUNED --backend onnxruntime” does it."
        inside = joined(tag("p", advice, class_="faint"))
    else:
        inside = joined(_chart(page.timing), _table(page.timing))
    return tag("section", tag("h2", "Latency"), inside, _rounds(page.latency), id_="latency")


def _chart(timing: Comparison) -> Markup:
    """A track for each engine and clock; all share one axis that starts at zero."""
    rows = [
        (one, f"{CLOCKS[clock]} time", one.time(clock), at)
        for clock in timing.clocks
        for at, one in enumerate(timing.engines)
    ]
    most = max(stats.p90 for _, _, stats, _ in rows) * 1.02 or 1.0
    axis = [tag("span", f"{tick:g}", style=f"left:{100 * tick / most:.2f}%") for tick in ticks(0, most)]
    tracks = (_track(one, word, stats, at, most) for one, word, stats, at in rows)
    name = "Milliseconds of one inference: a bar from p10 to p90, a mark at the median"
    plural = "s" if timing.threads != 1 else ""
    about = f"{timing.backend} {timing.version}, {timing.threads} thread{plural}, {timing.rounds} interleaved rounds"
    return joined(
        tag("p", f"{about}. Milliseconds of one inference; bar: p10 to p90, mark: median.", class_="lead"),
        tag("div", tracks, tag("div", axis, class_="axis"), class_="tracks", role="img", aria_label=name),
    )


def _track(one: Measurement, word: str, stats: Statistics, at: int, most: float) -> Markup:
    left, right, middle = (100 * value / most for value in (stats.p10, stats.p90, stats.median))
    return tag(
        "div",
        tag("span", f"{one.name}, {word}", class_="label"),
        tag(
            "span",
            tag("span", class_="span", style=f"left:{left:.2f}%;width:{max(0.0, right - left):.2f}%"),
            tag("span", class_="median", style=f"left:{middle:.2f}%"),
            class_="rail",
        ),
        tag("span", f"{three(stats.median)} ms", class_="n"),
        class_=f"track e{min(at, 1)}",
    )


def _table(timing: Comparison) -> Markup:
    columns = ("", "median", "p10", "p90", "p99", "times as fast", "p10 to p90")
    notes = [tag("p", f"Note: {note}.", class_="faint") for note in timing.notes()]
    return joined(figures(columns, _rows(timing), label="Latency in figures, milliseconds"), notes)


def _rows(timing: Comparison) -> Iterator[tuple[str, ...]]:
    for clock in timing.clocks:
        for at, one in enumerate(timing.engines):
            stats, ratio = one.time(clock), one.faster(clock)
            shown = (f"{value:.3f}" for value in (stats.median, stats.p10, stats.p90, stats.p99))
            yield (
                f"{one.name}, {CLOCKS[clock]} time",
                *shown,
                *((times(ratio), interval(ratio)) if at else ("", "")),
            )


def _rounds(found: Any) -> Markup:
    """Rounds of a search for a latency budget."""
    rounds = list(getattr(found, "rounds", None) or ())
    if not rounds:
        return joined()
    rows = [
        (str(at), f"{one.predicted:.3f}", f"{one.measured:.3f}", _error(one.predicted, one.measured))
        for at, one in enumerate(rounds, 1)
    ]
    columns = ("round", "predicted", "measured", "prediction off by")
    text = (
        "Latency as a fraction of the original's: what the model of the engine said, and what the clock said."
    )
    return joined(
        tag("h3", "Predicted against measured"),
        tag("p", text, _outcome(found), class_="faint"),
        figures(columns, rows, label="Predicted and measured latency of every round"),
    )


def _error(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %".replace("-", MINUS) if measured else "-"


def _outcome(found: Any) -> str:
    budget, measured = getattr(found, "budget", None), getattr(found, "measured", None)
    if budget is None or measured is None:
        return ""
    return f" The budget was {budget:g}, what was accepted measured {measured:.3f}."
