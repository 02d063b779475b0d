"""Refinements of atoms: the finer dims that atoms turned out to consist of."""

from __future__ import annotations

from ._dims import Atom, Dim, Fixed, Prod, Sum, atom, atoms_of, prod, total
from ._origin import Pin


class Refinements:
    """Atoms and the dims that they have been refined into, so far."""

    def __init__(self) -> None:
        self._bound: dict[Atom, Dim] = {}

    def norm(self, dim: Dim) -> Dim:
        """``dim`` in terms of atoms that are not refined any further, in normal form."""
        if isinstance(dim, Fixed) or (isinstance(dim, Atom) and dim not in self._bound):
            return dim
        segments: list[Dim] = []
        stack: list[Dim] = [dim]
        trail: list[Atom] = []
        while stack:
            part = stack.pop()
            if isinstance(part, Atom) and part in self._bound:
                if not segments and not stack:
                    trail.append(part)
                stack.append(self._bound[part])
            elif isinstance(part, Sum):
                stack.extend(reversed(part.parts))
            elif isinstance(part, Prod):
                segments.append(self._norm_prod(part))
            else:
                segments.append(part)
        result = total(*segments)
        for passed in trail:
            if passed is not result:
                self._bound[passed] = result
        return result

    def _norm_prod(self, dim: Prod) -> Dim:
        parts = [self.norm(part) for part in dim.parts]
        if all(new is old for new, old in zip(parts, dim.parts, strict=True)):
            return dim
        return prod(*parts)

    def pin(self, dim: Dim, *pins: Pin) -> None:
        """Forbid cutting any part of ``dim``: its atoms become Fixed and stop refining."""
        for leaf in atoms_of(self.norm(dim)):
            if leaf not in self._bound:
                self._bound[leaf] = Fixed(leaf.size, pins)

    def split(self, dim: Dim, count: int) -> tuple[Dim, Dim]:
        """Cut ``dim`` after ``count`` entries; returns both parts."""
        dim = self.norm(dim)
        if count == 0 or count == dim.size:
            return (Fixed(0), dim) if count == 0 else (dim, Fixed(0))
        if isinstance(dim, Fixed):
            return Fixed(count, dim.pins), Fixed(dim.size - count, dim.pins)
        if isinstance(dim, Atom):
            first, second = atom(count), atom(dim.size - count)
            self._bound[dim] = total(first, second)
            return first, second
        return self._split_sum(dim, count) if isinstance(dim, Sum) else self._split_prod(dim, count)

    def _split_sum(self, dim: Sum, count: int) -> tuple[Dim, Dim]:
        at = 0
        while count >= dim.parts[at].size:
            count -= dim.parts[at].size
            at += 1
        first, second = self.split(dim.parts[at], count)
        return total(*dim.parts[:at], first), total(second, *dim.parts[at + 1 :])

    def _split_prod(self, dim: Prod, count: int) -> tuple[Dim, Dim]:
        outer, inner = dim.parts[0], prod(*dim.parts[1:])
        rows, rest = divmod(count, inner.size)
        if not rest:
            first, second = self.split(outer, rows)
            return prod(first, inner), prod(second, inner)
        # The row that is cut through becomes a single entry, which stays; whole rows on either side are free.
        above, below = self.split(outer, rows)
        _, below = self.split(below, 1)
        first, second = self.split(inner, rest)
        return total(prod(above, inner), first), total(second, prod(below, inner))
