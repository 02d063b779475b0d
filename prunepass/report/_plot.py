"""Speed against quality: a plot of positioned elements, so that its text keeps its size on every screen."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from ..backends import Clock
from ..measure import CLOCKS, Ratio
from ._markup import Markup, joined, tag
from ._page import Quality, Trial
from ._pareto import spans_decades
from ._words import TIMES, ticks


class Scale:
    """From values to percent of an axis, with some air at both ends.

    Args:
        falling: smaller values are further up. decades: equal steps are equal factors.
    """

    def __init__(self, values: Sequence[float], *, falling: bool = False, decades: bool = False) -> None:
        self._falling, self._decades = falling, decades
        places = [self._place(value) for value in values]
        low, high = min(places), max(places)
        air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self._low, self._high = low - air, high + air

    def _place(self, value: float) -> float:
        return log10(value) if self._decades else value

    def at(self, value: float) -> float:
        share = 100 * (self._place(value) - self._low) / (self._high - self._low)
        return 100 - share if self._falling else share

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if not self._decades:
            return ticks(self._low, self._high)
        first, last = ceil(self._low), floor(self._high)
        return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 6)]


def plot(tried: Sequence[Trial], best: Sequence[Trial], quality: Quality, clock: Clock = "cpu") -> Markup:
    """Right is faster, up is better: where less is better the axis is upside down."""
    shown = [(at, t, t.faster, t.quality) for at, t in enumerate(tried) if t.faster and t.quality is not None]
    if not shown:
        return tag("p", "No candidate was measured.", class_="faint")
    across = Scale([1.0, *(end for _, _, ratio, _ in shown for end in (ratio.p10, ratio.p90))])
    decades = spans_decades(tried, quality)
    first = [quality.original] if quality.original is not None and not decades else []
    up = Scale([*first, *(value for *_, value in shown)], falling=not quality.rising, decades=decades)
    order = {trial.name: at for at, trial in enumerate(best)}
    points = [
        joined(
            _whisker(across, ratio, up.at(y)),
            _point(at, t, (across.at(ratio.median), up.at(y)), order.get(t.name)),
        )
        for at, t, ratio, y in shown
    ]
    return tag(
        "figure",
        tag(
            "figcaption",
            f"\u2191 {quality.name}{'' if quality.rising else ', less is better'}",
            class_="faint",
        ),
        tag(
            "div",
            _line(best, across, up),
            _marks(across, "left", TIMES),
            _marks(up, "bottom"),
            tag("span", class_="one", style=f"left:{across.at(1.0):.2f}%"),
            [_original(across.at(1.0), up.at(value)) for value in first],
            points,
            class_="plot",
        ),
        tag(
            "p",
            f"times as fast as the original ({CLOCKS[clock]} time, median; bars p10 to p90) \u2192",
            class_="faint right",
        ),
    )


def _marks(scale: Scale, side: str, unit: str = "") -> list[Markup]:
    return [
        tag("span", f"{tick:g}{unit}", class_=f"mark {side}", style=f"{side}:{scale.at(tick):.2f}%")
        for tick in scale.ticks()
    ]


def _line(best: Sequence[Trial], across: Scale, up: Scale) -> Markup:
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


def _whisker(across: Scale, ratio: Ratio, bottom: float) -> Markup:
    start, end = across.at(ratio.p10), across.at(ratio.p90)
    style = f"left:{start:.2f}%;width:{max(0.0, end - start):.2f}%;bottom:{bottom:.2f}%"
    return tag("span", class_="whisker", style=style)


def _point(at: int, trial: Trial, place: tuple[float, float], order: int | None) -> Markup:
    """A link to the trial's row; names of neighbours on the front stand above and below in turn."""
    left, bottom = place
    kind = "point" + " leftward" * (left > 55)
    if order is not None:
        kind += " front" + " below" * (order % 2)
    style = f"left:{left:.2f}%;bottom:{bottom:.2f}%"
    return tag("a", tag("span", trial.name), href=f"#t{at}", class_=kind, style=style)
