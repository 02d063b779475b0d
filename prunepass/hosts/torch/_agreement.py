"""Agreement of layers and tensors on sizes with one expression, and sizes that follow from it by arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import nn

from ._expressions import Expr, evaluate, leaves_of
from ._layers import sources_for
from ._links import Fields, Link, row_of, value_of

Update = tuple[Any, str, Any]
"""Owner, attribute and value; of what has been set already, the value that it had."""


_WHOLE = ": save the whole module with torch.save, or leave such layers whole with keep="
_EQUAL = ": save the whole module with torch.save, or cut such layers alike, with mode='uniform' or keep="


class Earlier:
    """Attributes as they were before the cut was written.

    Those that were set to what they are are settled all the same.
    """

    def __init__(self, done: Iterable[Update]) -> None:
        self._old: dict[tuple[int, str], Update] = {}
        for owner, name, value in done:
            own = vars(owner)["holder"] if isinstance(owner, Fields) else owner
            self._old.setdefault((id(own), name), (own, name, value))

    def value(self, owner: Any, name: str) -> Any:
        found = self._old.get((id(owner), name))
        return value_of(owner, name) if found is None else found[2]

    def is_changed(self, owner: Any, name: str) -> bool:
        return row_of(self.value(owner, name)) != row_of(value_of(owner, name))

    def is_settled(self, owner: Any, name: str) -> bool:
        return (id(owner), name) in self._old

    def changes(self) -> Iterator[tuple[Any, int, int]]:
        """Owner, old and new number of every size that has changed."""
        for owner, name, value in self._old.values():
            old, new = row_of(value), row_of(value_of(owner, name))
            if old is not None and new is not None and len(old) == len(new):
                yield from ((owner, one, other) for one, other in zip(old, new, strict=True) if one != other)


class Verdict(NamedTuple):
    """The new value of a number; or None and why it is not determined, nothing where nobody speaks of it."""

    new: int | None
    why: str = ""


@dataclass(frozen=True)
class _Claim:
    old: int
    new: int
    link: Link


class Agreement:
    """Values of expressions before and after.

    Layers, tensors, and attributes that the cut has settled say what they are; others are to be found.
    """

    def __init__(self, links: Sequence[Link], earlier: Earlier) -> None:
        self._claims: dict[Expr, list[_Claim]] = {}
        self._old: dict[Expr, Fraction] = {}
        broken = set[Expr]()
        for link in links:
            old, new = link.size(earlier.value(link.owner, link.name)), link.size(link.current())
            if old is None or new is None:
                continue
            said = self._old.setdefault(link.expr, Fraction(old))
            if is_layers_own(link) or earlier.is_settled(link.owner, link.name):
                self._claims.setdefault(link.expr, []).append(_Claim(old, new, link))
                if said != old:
                    broken.add(link.expr)
        for expr in broken:  # it is not one value after all
            del self._claims[expr]
        self._claims = {expr: found for expr, found in self._claims.items() if self._fits(expr, found[0].old)}
        self._agreed = {
            expr: Fraction(found[0].new)
            for expr, found in self._claims.items()
            if len({claim.new for claim in found}) == 1
        }
        self._new = dict(self._agreed)
        self._derive()
        self._spoken = {leaf for expr in self._claims for leaf in leaves_of(expr)} & self._new.keys()
        for expr, before in self._old.items():
            if expr not in self._claims:
                self._new.setdefault(expr, before)
        self._contrary = [expr for expr in self._agreed if expr.kind != "default" and not self._holds(expr)]

    def verdict(self, link: Link) -> Verdict:
        """The new value of a number that its owner does not say itself."""
        old = link.size(link.current())
        claims = self._claims.get(link.expr)
        if old is None or (claims and claims[0].old != old):
            return Verdict(None)
        if claims:
            news = sorted({claim.new for claim in claims})
            if len(news) > 1:
                return Verdict(None, self._disagreement(claims, news))
            built = any(is_layers_own(claim.link) for claim in claims)
            against = "" if built else self._against({link.expr}, strict=True)
            return Verdict(None, against) if against else Verdict(news[0])
        against = self._against(leaves_of(link.expr))
        if against:
            return Verdict(None, against)
        spoken = bool(leaves_of(link.expr) & self._spoken)
        known = evaluate(link.expr, self._parts(link.expr)) if spoken else None
        if known is not None and evaluate(link.expr, self._old) in (None, old):
            return Verdict(int(known)) if known == int(known) and known > 0 else Verdict(None)
        return Verdict(None)

    def joint(self, links: Sequence[Link]) -> Verdict:
        """The verdict on one number with several expressions: what those say that are determined."""
        verdicts = [self.verdict(link) for link in links]
        news = {verdict.new for verdict in verdicts if verdict.new is not None}
        if len(news) == 1:
            return Verdict(news.pop())
        return next((verdict for verdict in verdicts if verdict.why), Verdict(None))

    def default(self, expr: Expr) -> int | None:
        """The value to pass in place of a default; None where the default still holds or nothing is agreed."""
        new = self._agreed.get(expr)
        return None if new is None or self._holds(expr) else int(new)

    def contradictions(self, key: Expr) -> str:
        """The reason why what layers are cannot be said with a value of ``key``, though all that are it alone agree."""
        return self._against({key})

    def _against(self, leaves: set[Expr], *, strict: bool = False) -> str:
        """A size that arithmetic on these does not give any more; ``strict``: or does not tell."""
        for expr in self._agreed if strict else self._contrary:
            if strict and (expr in leaves or (expr not in self._contrary and self._is_told(expr))):
                continue
            if leaves & leaves_of(expr):
                claim = self._claims[expr][0]
                return f"{claim.link} is {claim.new} now, which no longer follows from it{_WHOLE}"
        for expr, claims in self._claims.items():
            if expr not in self._agreed and leaves & leaves_of(expr):
                return self._disagreement(claims, sorted({claim.new for claim in claims}))
        return ""

    def _disagreement(self, claims: Sequence[_Claim], news: Sequence[int]) -> str:
        shown = ", ".join(map(str, news[:4])) + (", ..." if len(news) > 4 else "")
        return f"{claims[0].link} and others of size {claims[0].old} are {shown} now{_EQUAL}"

    def _fits(self, expr: Expr, old: int) -> bool:
        """Return whether the source was understood: arithmetic on sizes from before gives this one."""
        return evaluate(expr, {leaf: self._old[leaf] for leaf in leaves_of(expr) if leaf in self._old}) in (
            None,
            old,
        )

    def _derive(self) -> None:
        """Values of what is only known by arithmetic: ``width`` from ``4 * width``; the rest stays."""
        moving = True
        while moving:
            moving = False
            for expr, new in self._agreed.items():
                open_leaves = [
                    leaf for leaf in leaves_of(expr) if leaf not in self._new and leaf not in self._claims
                ]
                if len(open_leaves) == 1 and open_leaves[0] in self._old:
                    leaf = open_leaves[0]
                    parts = self._parts(expr)
                    still = evaluate(expr, {**parts, leaf: self._old[leaf]})
                    value = self._old[leaf] * new / Fraction(still) if still else Fraction(0)
                    if value == int(value) and evaluate(expr, {**parts, leaf: value}) == new:
                        self._new[leaf], moving = value, True

    def _holds(self, expr: Expr) -> bool:
        return evaluate(expr, self._parts(expr)) in (None, self._agreed[expr])

    def _is_told(self, expr: Expr) -> bool:
        return evaluate(expr, self._parts(expr)) is not None

    def _parts(self, expr: Expr) -> dict[Expr, Fraction]:
        """Values of the leaves of an expression, as far as they are known."""
        return {leaf: self._new[leaf] for leaf in leaves_of(expr) if leaf in self._new}


def is_layers_own(link: Link) -> bool:
    """Return whether a size is that of a tensor, or one of torch.nn's own that follow its tensors."""
    known = isinstance(link.owner, nn.Module) and link.name in sources_for(type(link.owner))
    return known or isinstance(link.current(), torch.Tensor)
