"""Findings of ``prunepass check``."""

from __future__ import annotations

from dataclasses import dataclass

GONE = "plans that prune writes hold it: take the plan as it was made, or make it again"
"""What to do about a promise that an edit has taken out of a plan."""


@dataclass(frozen=True)
class Finding:
    """One promise: which, whether it holds, what was found, and the module or node it is about."""

    rule: str
    holds: bool
    text: str
    where: str = ""
