"""Costs as polynomials of widths, in whatever numbers the widths are: counts, arrays of candidates, host tensors.

A size is a sum of monomials over the atoms of groups, a term a factor times a product of sizes, a polynomial a sum
of terms. No factor is negative, so a polynomial grows with every width: it is least and most at the least and the
most widths that may be chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from ...ir import Atom, Dim, Fixed, Prod
from ..coupling import Coupling

Number: TypeAlias = Any
Monomial: TypeAlias = "tuple[int, tuple[Atom, ...]]"
Size: TypeAlias = "tuple[Monomial, ...]"
Widths: TypeAlias = "Mapping[Atom, Number]"


class Summand(Protocol):
    """A term, or anything else that is a cost and depends on some widths."""

    @property
    def atoms(self) -> frozenset[Atom]: ...

    def value(self, widths: Widths) -> Number: ...


@dataclass(frozen=True, slots=True)
class Term:
    """``factor * prod(sizes)``; sizes are rounded up to ``grain``, as an engine pads them."""

    factor: float
    sizes: tuple[Size, ...]
    grain: int = 1

    @property
    def atoms(self) -> frozenset[Atom]:
        return atoms_in(self.sizes)

    def value(self, widths: Widths) -> Number:
        result: Number = self.factor
        for size in self.sizes:
            result = result * rounded(size_at(size, widths), self.grain)
        return result


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A sum of terms, as a function of widths by atom; an atom without a width keeps its size."""

    terms: tuple[Summand, ...] = ()
    _by_atom: dict[Atom, list[Summand]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for term in self.terms:
            for leaf in term.atoms:
                self._by_atom.setdefault(leaf, []).append(term)

    def __call__(self, widths: Widths) -> Number:
        """The value where the atoms have these widths."""
        return sum((term.value(widths) for term in self.terms), start=0)

    def part(self, leaf: Atom, widths: Widths) -> Number:
        """The value of the terms that ``leaf`` occurs in."""
        return sum((term.value(widths) for term in self._by_atom.get(leaf, ())), start=0)

    def least(self, allowed: Mapping[Atom, Sequence[int]]) -> Number:
        """The value where each atom has the least of the widths that it is allowed."""
        return self({leaf: min(widths) for leaf, widths in allowed.items()})

    def most(self, allowed: Mapping[Atom, Sequence[int]]) -> Number:
        """The value where each atom has the most of the widths that it is allowed."""
        return self({leaf: max(widths) for leaf, widths in allowed.items()})


def atoms_in(sizes: Iterable[Size]) -> frozenset[Atom]:
    """The atoms that occur in sizes."""
    return frozenset(leaf for size in sizes for _, leaves in size for leaf in leaves)


def size_at(size: Size, widths: Widths) -> Number:
    """A size where the atoms have these widths."""
    total: Number = 0
    for factor, leaves in size:
        part: Number = factor
        for leaf in leaves:
            part = part * widths.get(leaf, leaf.size)
        total = total + part
    return total


def rounded(size: Number, grain: int) -> Number:
    """``size`` brought up to a multiple of ``grain``."""
    return -(-size // grain) * grain if grain > 1 else size


def monomials(dim: Dim) -> list[Monomial]:
    """``dim``'s size as products of a factor and atoms."""
    if isinstance(dim, Fixed):
        return [(dim.size, ())]
    if isinstance(dim, Atom):
        return [(1, (dim,))]
    parts = [monomials(part) for part in dim.parts]
    if not isinstance(dim, Prod):
        return [term for part in parts for term in part]
    whole: list[Monomial] = [(1, ())]
    for part in parts:
        whole = [(a * b, (*x, *y)) for a, x in whole for b, y in part]
    return whole


class Sizes:
    """The sizes of a coupling's dims, each worked out once; only the widths of prunable groups vary."""

    def __init__(self, coupling: Coupling) -> None:
        self.free = frozenset(group.atom for group in coupling.prunable if group.atom is not None)
        self._known: dict[Dim, Size] = {}

    def of(self, dim: Dim) -> Size:
        """The size of ``dim`` with what cannot vary multiplied into the factors."""
        if dim not in self._known:
            self._known[dim] = self._worked_out(dim)
        return self._known[dim]

    def split(self, dims: Iterable[Dim]) -> tuple[int, tuple[Size, ...]]:
        """The product of what is constant in ``dims``, and the sizes that vary."""
        factor, varying = 1, list[Size]()
        for dim in dims:
            if isinstance(dim, Fixed):
                factor *= dim.size
                continue
            size = self.of(dim)
            if all(not leaves for _, leaves in size):
                factor *= sum(part for part, _ in size)
            else:
                varying.append(size)
        return factor, tuple(varying)

    def _worked_out(self, dim: Dim) -> Size:
        found: dict[tuple[Atom, ...], int] = {}
        for factor, leaves in monomials(dim):
            for leaf in leaves:
                factor *= 1 if leaf in self.free else leaf.size
            varying = tuple(leaf for leaf in leaves if leaf in self.free)
            found[varying] = found.get(varying, 0) + factor
        return tuple((factor, leaves) for leaves, factor in found.items())


def merged(terms: Iterable[Term]) -> Polynomial:
    """The sum of ``terms``, those of the same sizes as one."""
    found: dict[tuple[tuple[Size, ...], int], float] = {}
    for term in terms:
        key = (term.sizes, term.grain)
        found[key] = found.get(key, 0) + term.factor
    return Polynomial(tuple(Term(factor, sizes, grain) for (sizes, grain), factor in found.items()))
