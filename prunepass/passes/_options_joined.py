"""Options of two plans joined, in the terms of the original."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd
from typing import Any

from ..ir import UsageError
from .cost import Budget

# Fractions of single groups are those of one round.
_OWN = ("budget", "align", "grain", "minimum", "floor", "ratios")


def joined_options(first: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the later plan, with limits that hold for both together, and the options of every round."""
    pair = (first, later)
    joined = {name: value for name, value in later.items() if name not in _OWN}
    joined["rounds"] = [one for options in pair for one in options.get("rounds", [dict(options)])]
    budget = _budget([options.get("budget") for options in pair])
    if budget is not None:
        joined["budget"] = budget
    if all(isinstance(options.get("align"), int) for options in pair):
        joined.update(_grain(pair))
    floors = [options.get("floor", 0.0) for options in pair]
    if all(isinstance(floor, (int, float)) and floor > 0 for floor in floors):
        joined["floor"] = floors[0] * floors[1]
    return joined


def _budget(texts: Iterable[Any]) -> str | None:
    """Fractions multiply: costs only fall. None where a plan does not say its own."""
    limits: dict[str, float] = {}
    for text in texts:
        try:
            found = Budget.parse(text) if isinstance(text, str) else None
        except UsageError:
            found = None
        if found is None:
            return None
        for kind, fraction in found.limits.items():
            limits[kind] = limits.get(kind, 1.0) * fraction
    return ",".join(f"{kind}={fraction:.12g}" for kind, fraction in limits.items()) or "dead"


def _grain(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> dict[str, Any]:
    """The multiples that widths of both come in."""
    first, later = pair
    if all(first.get(name) == later.get(name) for name in ("align", "grain", "minimum")):
        return {name: later[name] for name in ("align", "grain", "minimum") if name in later}
    return {"align": gcd(*(1 if options.get("grain") else options["align"] for options in pair))}
