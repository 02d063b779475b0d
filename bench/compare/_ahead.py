"""Which peers were faster in a row of the comparison of engines, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._table import Row

# Column of a row -> what the candidate is made as.
_PEERS = {"TP": "TP", "TP/8": "TP8", "onnxsim": "onnxsim"}
# Of another's time or work: what a second measurement may change, and what is no longer the same work.
_LEVEL, _SAME_WORK = 0.99, 0.97


def explained(row: Row, found: Mapping[str, Mapping[str, Any]]) -> Row:
    """``row`` with a note for every peer that was faster than ours.

    Args:
        found: by candidate, what its maker said: ``macs`` is the fraction that it keeps.
    """
    notes = (_note(row, peer, found.get(label, {}).get("macs")) for peer, label in _PEERS.items())
    return {**row, "notes": "; ".join(filter(None, (row["notes"], *notes)))}


def keeps_less(row: Row, kept: float | None) -> bool:
    """Whether a candidate that keeps ``kept`` of the work is no peer of the row's any more."""
    return kept is not None and kept < _SAME_WORK * row["MACs kept"]


def _note(row: Row, peer: str, kept: float | None) -> str:
    faster, ours, uniform = row[peer], row["ours"] or 0.0, row["uniform"] or 0.0
    if faster is None or faster <= ours:
        return ""
    if keeps_less(row, kept):
        return f"{peer} is ahead, keeping {kept:.3g} of the work"
    if uniform >= _LEVEL * faster:
        return f"{peer} is ahead, and uniform level with it"
    return f"{peer} is ahead by {100 * (faster / max(ours, uniform) - 1):.0f} %"
