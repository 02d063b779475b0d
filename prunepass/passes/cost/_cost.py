"""Cost of a graph, counted from its shapes: multiply-accumulates, params, bytes, channels.

Multiply-accumulates come from the ``work`` of the rules, params and bytes from the shapes of the trained params;
each is a polynomial of how many channels every group keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from ...ir import Atom, Dim, Graph
from ..coupling import Coupling, couple
from ._kinds import live_nodes
from ._polynomial import Polynomial, Size, Sizes, Term, merged, size_at

BYTES = {
    "float64": 8,
    "int64": 8,
    "float16": 2,
    "bfloat16": 2,
    "int16": 2,
    "uint16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
KINDS: tuple[str, ...] = ("macs", "params", "size", "channels")


@dataclass(frozen=True, slots=True)
class Cost:
    """Totals of a graph.

    Attributes:
        macs: multiply-accumulates of one run at the captured shapes, of what its outputs need.
        params: number of trained values. size: their bytes. channels: channels of prunable groups.
    """

    macs: int
    params: int
    size: int
    channels: int

    def __getitem__(self, kind: str) -> int:
        return int(getattr(self, kind))


def counted_cost(coupling: Coupling) -> Mapping[str, Polynomial]:
    """The polynomial of each of ``KINDS``; worked out once for a coupling."""
    found: Mapping[str, Polynomial] = coupling.graph.memo(
        ("counted cost", coupling), lambda _: _counted_cost(coupling)
    )
    return found


def _counted_cost(coupling: Coupling) -> Mapping[str, Polynomial]:
    sizes, terms = Sizes(coupling), {kind: list[Term]() for kind in KINDS}
    for kind, factor, dims in _counted(coupling):
        constant, varying = sizes.split(dims)
        terms[kind].append(Term(factor * constant, varying))
    return {kind: merged(found) for kind, found in terms.items()}


def _counted(coupling: Coupling) -> Iterator[tuple[str, int, tuple[Dim, ...]]]:
    for _, rule in live_nodes(coupling):
        for product in rule.work:
            yield "macs", 1, tuple(coupling.norm(dim) for dim in product)
    for name, param in coupling.graph.params.items():
        if param.trained:
            yield "params", 1, coupling.dims[name]
            yield "size", BYTES.get(param.dtype, 4), coupling.dims[name]
    for group in coupling.prunable:
        assert group.atom is not None
        yield "channels", 1, (group.atom,)


class CostModel:
    """The counted costs under changing widths; ``set_width`` costs what depends on that group, no more.

    Attributes:
        widths: by atom where it is not the whole size.
        totals: by kind, at these widths.
    """

    def __init__(self, coupling: Coupling) -> None:
        self.widths: dict[Atom, int] = {}
        self.totals: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._sizes: dict[Size, _Size] = {}
        self._sizes_of: dict[Atom, list[_Size]] = {}
        self._terms: list[tuple[str, int, tuple[_Size, ...]]] = []
        self._values: list[int] = []
        for kind, polynomial in counted_cost(coupling).items():
            for term in polynomial.terms:
                assert isinstance(term, Term)
                self._add(kind, term)

    def _add(self, kind: str, term: Term) -> None:
        at, factor = len(self._terms), int(term.factor)
        varying = tuple(self._size(size) for size in term.sizes)
        self._terms.append((kind, factor, varying))
        self._values.append(factor * prod(size.value for size in varying))
        self.totals[kind] += self._values[at]
        for size in dict.fromkeys(varying):
            size.terms.append(at)

    def _size(self, size: Size) -> _Size:
        if size not in self._sizes:
            made = self._sizes[size] = _Size(size)
            for leaf in made.by_atom:
                self._sizes_of.setdefault(leaf, []).append(made)
        return self._sizes[size]

    def set_width(self, leaf: Atom, width: int) -> None:
        """Let ``leaf`` keep ``width`` channels and update the totals."""
        self.set_widths({leaf: width})

    def set_widths(self, widths: Mapping[Atom, int]) -> None:
        """Let each atom keep so many channels and update the totals; what depends on several, once."""
        changed = [leaf for leaf, width in widths.items() if self.widths.get(leaf, leaf.size) != width]
        self.widths.update(widths)
        touched: dict[int, None] = {}
        for leaf in changed:
            for size in self._sizes_of.get(leaf, ()):
                size.update(leaf, self.widths)
                touched.update(dict.fromkeys(size.terms))
        for at in touched:
            kind, factor, varying = self._terms[at]
            value = factor * prod(size.value for size in varying)
            self.totals[kind] += value - self._values[at]
            self._values[at] = value

    def cost(self) -> Cost:
        return Cost(**self.totals)

    def saving(self, leaf: Atom, kind: str = "macs") -> float:
        """The average share of one channel of ``leaf`` in the cost ``kind``, at today's widths."""
        width = self.widths.get(leaf, leaf.size)
        before = self.totals[kind]
        self.set_width(leaf, 0)
        share = (before - self.totals[kind]) / max(width, 1)
        self.set_width(leaf, width)
        return share


class _Size:
    """One size under changing widths: an atom that changes costs the monomials that it occurs in."""

    def __init__(self, size: Size) -> None:
        self.by_atom: dict[Atom, list[int]] = {}
        for at, (_, leaves) in enumerate(size):
            for leaf in dict.fromkeys(leaves):
                self.by_atom.setdefault(leaf, []).append(at)
        self.monomials = [(monomial,) for monomial in size]
        self.values = [size_at(one, {}) for one in self.monomials]
        self.value = sum(self.values)
        self.terms: list[int] = []

    def update(self, leaf: Atom, widths: Mapping[Atom, int]) -> None:
        for at in self.by_atom[leaf]:
            value = size_at(self.monomials[at], widths)
            self.value += value - self.values[at]
            self.values[at] = value


def cost_of(coupling: Coupling) -> Cost:
    """Totals of the uncut graph."""
    return Cost(**{kind: polynomial({}) for kind, polynomial in counted_cost(coupling).items()})


def graph_cost(graph: Graph) -> Cost:
    """Totals of a graph as it stands."""
    return cost_of(couple(graph))
