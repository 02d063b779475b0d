"""The main content of a report as a figure for a paper: PNG or PDF, by matplotlib."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ir import BackendError, UsageError
from ..measure import CLOCKS
from ._page import Page
from ._pareto import front, spans_decades
from ._words import three, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..measure import Ratio

# Two colours of Okabe and Ito's set, which people of every colour vision tell apart, also when printed grey.
_KEPT, _CUT, _OLD, _INK = "#0072B2", "#EDB27F", "#8A8F98", "#17202b"
_WIDTH, _NAMED = 7.2, 32  # inches: the text width of a page; groups that still have room for their names
_FORMATS = (".png", ".pdf")
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "pdf.fonttype": 42,
    "figure.dpi": 100,
}


def save_figure(page: Page, path: str | os.PathLike[str]) -> None:
    """Write the figure; the same bytes for the same page and version of matplotlib.

    Raises:
        UsageError: the name ends in neither ``.png`` nor ``.pdf``.
        BackendError: matplotlib is missing.
    """
    matplotlib = drawing()
    target = Path(path)
    if target.suffix not in _FORMATS:
        raise UsageError(f"a figure ends in one of {', '.join(_FORMATS)}", where=str(path))
    panels = _panels(page)
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "backend": "agg"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH, sum(height for height, _ in panels)), layout="constrained")
        axes = figure.subplots(len(panels), squeeze=False, height_ratios=[height for height, _ in panels])
        for (_, draw), ax in zip(panels, axes[:, 0], strict=True):
            draw(ax, page)
        figure.suptitle(_title(page), fontsize=11, fontweight="bold", x=0.01, ha="left")
        # Neither time nor version of the program: the bytes stay the same.
        nothing = {"CreationDate": None} if target.suffix == ".pdf" else {"Software": None}
        figure.savefig(target, dpi=200, metadata=nothing)


def drawing() -> Any:
    """The package that draws.

    Raises:
        BackendError: it is missing.
    """
    try:
        import matplotlib
    except ImportError as error:
        advice = "install it with: pip install 'prunepass[report]'"
        raise BackendError(f"matplotlib cannot be imported: {error}", advice=advice) from error
    return matplotlib


def _title(page: Page) -> str:
    if page.after is None or not page.before.macs:
        return _plain(page.title)
    kept = page.after.macs / page.before.macs
    return f"{_plain(page.title)}: {100 * kept:.1f} % of the multiply-accumulates kept"


def _plain(text: str) -> str:
    """A name as it is: dollar signs would start a formula."""
    return text.replace("$", "\\$")


def _panels(page: Page) -> list[tuple[float, Callable[[Axes, Page], None]]]:
    """Height in inches and drawing function of each panel that there is something for."""
    found: list[tuple[float, Callable[[Axes, Page], None]]] = []
    if page.groups:
        named = sum(not row.pins for row in page.groups) <= _NAMED
        found.append((3.2 if named else 2.5, _groups))
    if page.timing is not None:
        found.append((0.7 + 0.34 * 2 * len(page.timing.engines), _latency))
    if page.quality is not None:
        found.append((3.4, _trials))
    if not found:
        raise UsageError("there is nothing to draw: no group, no timing, no candidate", where=page.title)
    return found


def _groups(ax: Axes, page: Page) -> None:
    rows = [row for row in page.groups if not row.pins]
    places = range(len(rows))
    whole = ax.bar(places, [row.size for row in rows], width=0.85, color=_CUT, label="cut")
    ax.bar(places, [row.kept for row in rows], width=0.85, color=_KEPT, label="kept")
    if len(rows) <= _NAMED:
        for bar in whole:
            bar.set(hatch="////", edgecolor="white")
    ax.set_title("Channels of each coupled group")
    ax.set_ylabel("channels")
    ax.margins(x=0.01)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], frameon=False, loc="upper left", ncols=2)
    if len(rows) <= _NAMED:
        names = [_plain(_short(row.name)) for row in rows]
        ax.set_xticks(list(places), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    else:
        ax.set_xlabel(f"{len(rows)} groups, from the input to the output of the network")


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]


def _latency(ax: Axes, page: Page) -> None:
    timing = page.timing
    assert timing is not None
    labels: list[str] = []
    for clock in timing.clocks:
        for at, one in enumerate(timing.engines):
            stats, ratio = one.time(clock), one.faster(clock)
            y = len(labels)
            ax.barh(y, stats.median, height=0.7, color=_KEPT if at else _OLD)
            ax.plot((stats.p10, stats.p90), (y, y), color=_INK, linewidth=1.6, marker="|", markersize=7)
            text = f"  {three(stats.median)} ms" + (f" ({times(ratio)})" if at else "")
            ax.text(max(stats.p90, stats.median), y, text, va="center", fontsize=8)
            labels.append(_plain(f"{_short(one.name)}, {CLOCKS[clock]}"))
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.set_xlim(left=0)
    ax.set_xlabel("milliseconds of one inference: median, p10 to p90")
    plural = "s" if timing.threads != 1 else ""
    ax.set_title(_plain(f"Latency, {timing.backend} {timing.version}, {timing.threads} thread{plural}"))


def _trials(ax: Axes, page: Page) -> None:
    quality = page.quality
    assert quality is not None
    best = front(page.trials, quality)
    for trial in page.trials:
        if trial.faster is not None and trial.quality is not None:
            _trial(ax, trial.name, (trial.faster, trial.quality), best=trial in best)
    line = [(t.faster.median, t.quality) for t in best if t.faster is not None and t.quality is not None]
    if line:
        ax.plot(*zip(*line, strict=True), color=_KEPT, linewidth=1, linestyle="--")
    if spans_decades(page.trials, quality):
        ax.set_yscale("log")
    elif quality.original is not None:
        ax.plot(1.0, quality.original, "s", color=_INK, fillstyle="none")
        ax.annotate(
            "original", (1.0, quality.original), textcoords="offset points", xytext=(6, 5), fontsize=7
        )
    ax.axvline(1.0, color=_OLD, linewidth=0.8, linestyle=":")
    ax.margins(x=0.15, y=0.15)
    if not quality.rising:
        ax.invert_yaxis()
    ax.set_xlabel(f"times as fast as the original ({CLOCKS[page.clock]} time; median, p10 to p90)")
    ax.set_ylabel(_plain(quality.name) + ("" if quality.rising else " (less is better)"))
    ax.set_title("Candidates; joined: those that no other one beats")


def _trial(ax: Axes, name: str, place: tuple[Ratio, float], *, best: bool) -> None:
    ratio, y = place
    x = ratio.median
    spread = [[max(0.0, x - ratio.p10)], [max(0.0, ratio.p90 - x)]]
    colour, mark = (_KEPT, "o") if best else (_OLD, "x")
    ax.errorbar(x, y, xerr=spread, fmt=mark, color=colour, elinewidth=1, capsize=2)
    if best:
        ax.annotate(_plain(name), (x, y), textcoords="offset points", xytext=(5, 5), fontsize=7)
