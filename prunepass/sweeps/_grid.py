"""The grid of candidates: every combination of budgets, scores and alignments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import product

import msgspec

from ..ir import UsageError, parse_steps
from ..passes import AUTO, Policy, build, scores
from ..passes.cost import KINDS

_PLAIN = re.compile(r"[\w.]+")


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to prune: a budget such as ``macs=0.6``, a score, and what channel counts are multiples of."""

    budget: str
    score: str
    align: int = 1

    @property
    def name(self) -> str:
        """For people: ``macs=0.6 dfpc align 8``."""
        return f"{self.budget} {self.score}" + (f" align {self.align}" if self.align > 1 else "")

    @property
    def key(self) -> str:
        """For folders, the same on every system: ``macs-0.6-dfpc-8``."""
        parts = (self.budget.replace("=", "-"), self.score, str(self.align))
        plain = "-".join("_".join(_PLAIN.findall(part)) if part is self.score else part for part in parts)
        odd = _PLAIN.fullmatch(self.score) is None
        return plain + (f"-{sha256(self.score.encode()).hexdigest()[:6]}" if odd else "")


def grid(
    budgets: Iterable[float],
    scores_: Iterable[str] = (AUTO,),
    aligns: Iterable[int] = (1,),
    *,
    kind: str = "macs",
) -> tuple[Candidate, ...]:
    """Every combination, each once, in the order given.

    Raises:
        UsageError: a budget, a score or an alignment is none, or there is no combination.
    """
    found = [
        Candidate(f"{kind}={budget:g}", score, align)
        for budget, score, align in product(budgets, scores_, aligns)
    ]
    if not found:
        raise UsageError("there is nothing to try", advice="give at least one budget, score and align")
    if kind not in KINDS:
        raise UsageError(f"a sweep has no budget '{kind}'", advice=f"there are {', '.join(KINDS)}")
    _check(found)
    return tuple(dict.fromkeys(found))


def _check(candidates: Sequence[Candidate]) -> None:
    for candidate in candidates:
        Policy(budget=candidate.budget, align=candidate.align)
        ((metric, options),) = list(parse_steps(candidate.score))[:1]
        if metric != AUTO:
            build(scores.get(metric), options)
