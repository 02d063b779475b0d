"""What a graph costs, as a function of how many channels each group keeps.

Multiply-accumulates come from the ``work`` of the rules, params and bytes from the shapes of the trained
params. Sizes are kept as sums of products of atoms, so narrowing one group touches only what it occurs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ...ir import Atom, Dim, Fixed, Graph, Prod, rule_of
from ..coupling import Coupling, couple

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


class _Polynomial:
    """The size of one dim: a sum of products of atoms, updated atom by atom."""

    def __init__(self, dim: Dim, widths: Mapping[Atom, int]) -> None:
        self.terms = monomials(dim)
        self.by_atom: dict[Atom, list[int]] = {}
        for at, (_, atoms) in enumerate(self.terms):
            for leaf in dict.fromkeys(atoms):
                self.by_atom.setdefault(leaf, []).append(at)
        self.values = [self._value(at, widths) for at in range(len(self.terms))]
        self.size = sum(self.values)

    def _value(self, at: int, widths: Mapping[Atom, int]) -> int:
        factor, atoms = self.terms[at]
        return factor * prod(widths.get(leaf, leaf.size) for leaf in atoms)

    def update(self, leaf: Atom, widths: Mapping[Atom, int]) -> None:
        for at in self.by_atom[leaf]:
            value = self._value(at, widths)
            self.size += value - self.values[at]
            self.values[at] = value


def monomials(dim: Dim) -> list[tuple[int, tuple[Atom, ...]]]:
    """``dim``'s size as products of a factor and atoms."""
    if isinstance(dim, Fixed):
        return [(dim.size, ())]
    if isinstance(dim, Atom):
        return [(1, (dim,))]
    parts = [monomials(part) for part in dim.parts]
    if not isinstance(dim, Prod):
        return [term for part in parts for term in part]
    whole: list[tuple[int, tuple[Atom, ...]]] = [(1, ())]
    for part in parts:
        whole = [(a * b, (*x, *y)) for a, x in whole for b, y in part]
    return whole


class CostModel:
    """Totals under changing widths; ``set_width`` costs what depends on that group, no more."""

    def __init__(self, coupling: Coupling) -> None:
        self.widths: dict[Atom, int] = {}
        self._sizes: dict[Dim, _Polynomial] = {}
        self._terms: list[tuple[str, int, tuple[_Polynomial, ...]]] = []
        self._values: list[int] = []
        self._readers: dict[_Polynomial, list[int]] = {}
        self._dims_of: dict[Atom, list[_Polynomial]] = {}
        self.totals: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._add_work(coupling)
        self._add_params(coupling)
        for group in coupling.prunable:
            assert group.atom is not None
            self._add("channels", 1, (group.atom,))

    def _add_work(self, coupling: Coupling) -> None:
        for node in coupling.graph.nodes:
            if node.name not in coupling.graph.needed or node.outputs[0] in coupling.static:
                continue
            for product in rule_of(coupling.graph, node).work:
                self._add("macs", 1, tuple(coupling.norm(dim) for dim in product))

    def _add_params(self, coupling: Coupling) -> None:
        for name, param in coupling.graph.params.items():
            if param.trained:
                self._add("params", 1, coupling.dims[name])
                self._add("size", BYTES.get(param.dtype, 4), coupling.dims[name])

    def _add(self, kind: str, factor: int, dims: tuple[Dim, ...]) -> None:
        varying = list[_Polynomial]()
        for dim in dims:
            if isinstance(dim, Fixed):
                factor *= dim.size
            else:
                varying.append(self._polynomial(dim))
        at = len(self._terms)
        self._terms.append((kind, factor, tuple(varying)))
        self._values.append(factor * prod(p.size for p in varying))
        self.totals[kind] += self._values[at]
        for polynomial in dict.fromkeys(varying):
            self._readers.setdefault(polynomial, []).append(at)

    def _polynomial(self, dim: Dim) -> _Polynomial:
        if dim not in self._sizes:
            made = self._sizes[dim] = _Polynomial(dim, self.widths)
            for leaf in made.by_atom:
                self._dims_of.setdefault(leaf, []).append(made)
        return self._sizes[dim]

    def set_width(self, leaf: Atom, width: int) -> None:
        """Let ``leaf`` keep ``width`` channels and update the totals."""
        self.set_widths({leaf: width})

    def set_widths(self, widths: Mapping[Atom, int]) -> None:
        """Let each atom keep so many channels and update the totals; what depends on several, once."""
        changed = [leaf for leaf, width in widths.items() if self.widths.get(leaf, leaf.size) != width]
        self.widths.update(widths)
        touched: dict[int, None] = {}
        for leaf in changed:
            for polynomial in self._dims_of.get(leaf, ()):
                polynomial.update(leaf, self.widths)
                touched.update(dict.fromkeys(self._readers.get(polynomial, ())))
        for at in touched:
            kind, factor, varying = self._terms[at]
            value = factor * prod(p.size for p in varying)
            self.totals[kind] += value - self._values[at]
            self._values[at] = value

    def cost(self) -> Cost:
        return Cost(**self.totals)

    def saving(self, leaf: Atom, kind: str = "macs") -> float:
        """How much of ``kind`` one channel of ``leaf`` accounts for, on average, at today's widths."""
        width = self.widths.get(leaf, leaf.size)
        before = self.totals[kind]
        self.set_width(leaf, 0)
        share = (before - self.totals[kind]) / max(width, 1)
        self.set_width(leaf, width)
        return share


def cost_of(coupling: Coupling) -> Cost:
    """Totals of the uncut graph."""
    return CostModel(coupling).cost()


def graph_cost(graph: Graph) -> Cost:
    """Totals of a graph as it stands."""
    return cost_of(couple(graph))
