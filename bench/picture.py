"""``python -m bench.picture [-o FILE.svg]``: the comparison of engines at half of the work, as a picture.

Drawn from what is published in ``bench/results``; the same bytes for the same results and version of matplotlib.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .compare._ahead import keeps_less

_ROOT = Path(__file__).parents[1]
RESULTS, PICTURE = _ROOT / "bench" / "results" / "engines.json", _ROOT / "docs" / "speed.svg"
SHOWN = {"engine": "onnxruntime", "threads": 1, "batch": 1, "budget": "macs=0.5"}
# Column of the table -> its name, mark and colour, of Okabe and Ito's set; ours last, over the others.
_SERIES = {
    "unaligned": ("prunepass, unaligned", "x", "#8A8F98"),
    "onnxsim": ("onnxsim", "v", "#CC79A7"),
    "TP": ("Torch-Pruning", "s", "#D55E00"),
    "TP/8": ("Torch-Pruning, round_to=8", "D", "#E69F00"),
    "uniform": ("prunepass, uniform", "o", "#56B4E9"),
    "ours": ("prunepass", "o", "#0072B2"),
}
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
# Ids in the file come from this and not from chance.
_SALT = {"svg.hashsalt": "prunepass"}
_IDEAL = 2.0


def shown(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of the picture, in the order of the table."""
    return [row for row in rows if all(row[key] == value for key, value in SHOWN.items())]


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One line a network, one mark a way to prune it, hollow where it keeps clearly less of the work."""
    import matplotlib

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, **_SALT, "backend": "svg"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 0.42 * len(rows) + 1.3), layout="constrained")
        axes = figure.subplots()
        places = range(len(rows), 0, -1)
        for column, (label, mark, colour) in _SERIES.items():
            for row, place in zip(rows, places, strict=True):
                if row[column]:
                    face = "none" if keeps_less(row, row.get(f"{column} kept")) else colour
                    axes.plot(row[column], place, mark, color=colour, markerfacecolor=face, markersize=6)
            axes.plot([], [], mark, color=colour, label=label, markersize=6)
        for row, place in zip(rows, places, strict=True):
            axes.text(row["ours"], place + 0.22, f"{row['ours']:.2f}x", ha="center", color=_SERIES["ours"][2])
        _frame(axes, [row["network"] for row in rows], places)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _frame(axes: Any, names: Sequence[str], places: Sequence[int]) -> None:
    axes.set_yticks(list(places), names)
    axes.set_ylim(0.4, len(names) + 0.8)
    axes.grid(axis="y", alpha=0.25)
    axes.set_xlabel(
        "times as fast as the original, ONNX Runtime, one thread, at half of the work (hollow: at less)"
    )
    for at, style in ((1.0, "-"), (_IDEAL, ":")):
        axes.axvline(at, color="#17202b", linewidth=0.8, linestyle=style, zorder=0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.picture", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=PICTURE, help="where to draw it")
    draw(shown(json.loads(RESULTS.read_text("utf-8"))["rows"]), parser.parse_args().out)


if __name__ == "__main__":
    main()
