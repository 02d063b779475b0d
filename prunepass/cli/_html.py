"""A report as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from .._report import Report, note_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
       color: #1d2733; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0 2rem; }
th, td { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #dfe4ea; }
th { border-bottom: 2px solid #8795a6; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { width: 16rem; padding: 0; }
.bar div { height: .9rem; background: #2f7d6b; min-width: 1px; }
.pinned { color: #77828f; }
"""


def to_html(report: Report) -> str:
    """The page: costs, how it was done and proven, and every group with the share that stayed."""
    title = escape(f"{report.model}: pruned")
    facts = _facts(report)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _table(("", "before", "after", "kept"), (_cells(row, 1) for row in report.summary())),
        "".join(f"<p>{escape(fact)}</p>" for fact in facts),
        "<h2>Groups of coupled channels</h2>",
        _table(("group", "channels", "kept", "share", "places", "note"), _groups(report)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _facts(report: Report) -> list[str]:
    changes = ", ".join(f"{name} {change:.3g}" for name, change in sorted(report.changes.items()))
    facts = [f"Score: {report.score}" + (f" (output change of each candidate: {changes})" if changes else "")]
    if report.proof is not None:
        facts.append(f"Proof: {report.proof}.")
    if report.host is not None:
        facts.append(f"In its own host: worst relative error {report.host.worst:.1e}.")
    if report.repaired or report.unrepaired:
        facts.append(f"Biases took over the means of {len(report.repaired)} groups.")
    facts += [f"Not repaired: {name}: {why}" for name, why in sorted(report.unrepaired.items())]
    return facts


def _groups(report: Report) -> Iterable[str]:
    for row in report.groups:
        share = row.kept / row.size if row.size else 1.0
        bar = f'<td class="bar"><div style="width: {100 * share:.1f}%"></div></td>'
        numbers = "".join(f'<td class="n">{number}</td>' for number in (row.size, row.kept))
        mark = ' class="pinned"' if row.pins else ""
        yield (
            f"<tr{mark}><td>{escape(row.name)}</td>{numbers}{bar}"
            f'<td class="n">{row.members}</td><td>{escape(note_of(row))}</td></tr>'
        )


def _cells(row: Sequence[str], names: int) -> str:
    cells = (f"<td{' class=n' if at >= names else ''}>{escape(cell)}</td>" for at, cell in enumerate(row))
    return f"<tr>{''.join(cells)}</tr>"


def _table(columns: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
