"""Latency budgets on ONNX Runtime: are they met, in how many rounds, and how good are the predictions?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import prunepass as pp
from prunepass.measure import compare

from ._onnx import network_onnx
from ._table import Options, Row, Table

_NETS = ("resnet18", "mobilenet_v2")
_BUDGETS = (0.7, 0.5)
_BACKEND = "onnxruntime"
_SECONDS = 6.0


def run(options: Options) -> Table:
    """Both nets at both budgets, without and with a latency table; quick: MobileNetV2 at 0.7 without one."""
    nets = _NETS[1:] if options.quick and not options.only else _NETS
    with TemporaryDirectory(prefix="prunepass-") as folder:
        rows = [
            row for net in nets if options.wants(net) for row in _rows(net, Path(folder), quick=options.quick)
        ]
    return Table(
        "Latency budgets on ONNX Runtime, one thread",
        tuple(rows),
        (
            "measured: CPU time of the pruned network over that of the original, median of interleaved rounds, "
            "as measured by the round that was accepted; again: measured once more, longer, after the search.",
            "first, accepted off by: prediction over measurement, less 1, of the first round and of the accepted.",
            "table: with the latency table and the grain of 'prunepass calibrate', whose time is not in that of "
            "the search; else the built-in target, and probes alone.",
            "Batch 1, random weights, score l2, 224 x 224. Seconds are those of the whole call of prune.",
        ),
    )


def _rows(net: str, folder: Path, *, quick: bool) -> Iterator[Row]:
    original = network_onnx(net, folder)
    yield from (_row(net, original, budget, None) for budget in (_BUDGETS[:1] if quick else _BUDGETS))
    if not quick:
        target = pp.calibrate(original, backend=_BACKEND, cache=folder / "cache")
        yield from (_row(net, original, budget, target) for budget in _BUDGETS)


def _row(net: str, original: Path, budget: float, target: pp.Target | None) -> Row:
    wall, cpu = perf_counter(), process_time()
    options: dict[str, Any] = {"budget": f"latency={budget}", "score": "l2", "backend": _BACKEND}
    row = {"network": net, "budget": budget, "table": "yes" if target else "no"}
    try:
        result = pp.prune(original, target=target, **options)
    except pp.BudgetError as error:
        return {**row, **_figures(None), "note": error.what}
    seconds = perf_counter() - wall, process_time() - cpu
    again = compare([original, result.model], _BACKEND, duration=_SECONDS).engines[1].faster("cpu").median
    return {**row, **_figures(result, 1 / again, seconds), "note": ""}


def _figures(
    result: pp.Result | None, again: float = 0.0, seconds: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any]:
    names = (
        "measured",
        "again",
        "MACs kept",
        "rounds",
        "first off by",
        "accepted off by",
        "seconds",
        "CPU seconds",
    )
    if result is None or result.report.latency is None:
        return dict.fromkeys(names)
    found, report = result.report.latency, result.report
    values = (
        round(found.measured, 4),
        round(again, 4),
        round(report.after.macs / report.before.macs, 3),
        len(found.rounds),
        f"{found.rounds[0].error:+.1%}",
        f"{found.error:+.1%}",
        round(seconds[0]),
        round(seconds[1]),
    )
    return dict(zip(names, values, strict=True))
