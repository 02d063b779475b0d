"""What ``prunepass check`` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One promise: which, whether it holds, what was found, and the module or node it is about."""

    rule: str
    holds: bool
    text: str
    where: str = ""
