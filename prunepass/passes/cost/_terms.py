"""Costs as sums of products of sizes: the form in which widths of many groups can be tried at once.

A size is a sum of monomials over the atoms of groups (as in :mod:`._cost`); a term is a factor times a product
of sizes. Where one width is an array of candidates, so is the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...ir import Array, Atom, Dim
from ..coupling import Coupling
from ._cost import BYTES, monomials
from ._kinds import MOVED, codes_of, codes_read, kind_of, live_nodes

Size: TypeAlias = "tuple[tuple[int, tuple[Atom, ...]], ...]"
Widths: TypeAlias = "Mapping[Atom, int | Array]"


@dataclass(frozen=True, slots=True)
class Term:
    """``factor * prod(sizes)`` towards one feature; sizes are rounded up to ``grain``, as an engine pads them."""

    feature: str
    factor: float
    sizes: tuple[Size, ...]
    grain: int = 1

    @property
    def atoms(self) -> frozenset[Atom]:
        return atoms_in(self.sizes)

    def value(self, widths: Widths) -> Array:
        result: Array = np.asarray(self.factor, dtype=np.float64)
        for size in self.sizes:
            result = result * rounded(size_at(size, widths), self.grain)
        return result


def atoms_in(sizes: Iterable[Size]) -> frozenset[Atom]:
    """The atoms that occur in sizes."""
    return frozenset(leaf for size in sizes for _, leaves in size for leaf in leaves)


def size_at(size: Size, widths: Widths) -> Array:
    """A size where the atoms have these widths."""
    total: Array = np.zeros(())
    for factor, leaves in size:
        part: Array = np.asarray(factor, dtype=np.float64)
        for leaf in leaves:
            part = part * widths.get(leaf, leaf.size)
        total = total + part
    return total


def rounded(size: Array, grain: int) -> Array:
    """``size`` brought up to a multiple of ``grain``."""
    return np.ceil(size / grain) * grain if grain > 1 else size


def free_atoms(coupling: Coupling) -> frozenset[Atom]:
    """The atoms of prunable groups; all others keep their size."""
    return frozenset(group.atom for group in coupling.prunable if group.atom is not None)


def size_of(dim: Dim, free: frozenset[Atom]) -> Size:
    """The size of ``dim`` with what cannot change multiplied into the factors."""
    merged: dict[tuple[Atom, ...], int] = {}
    for factor, leaves in monomials(dim):
        for leaf in leaves:
            factor *= 1 if leaf in free else leaf.size
        varying = tuple(leaf for leaf in leaves if leaf in free)
        merged[varying] = merged.get(varying, 0) + factor
    return tuple((factor, leaves) for leaves, factor in merged.items())


def split_sizes(dims: Iterable[Dim], free: frozenset[Atom]) -> tuple[int, tuple[Size, ...]]:
    """The product of what is constant in ``dims``, and the sizes that vary."""
    factor, varying = 1, list[Size]()
    for dim in dims:
        size = size_of(dim, free)
        if all(not leaves for _, leaves in size):
            factor *= sum(part for part, _ in size)
        else:
            varying.append(size)
    return factor, tuple(varying)


def merged(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Terms of the same feature and sizes as one."""
    found: dict[tuple[str, tuple[Size, ...], int], float] = {}
    for term in terms:
        key = (term.feature, term.sizes, term.grain)
        found[key] = found.get(key, 0.0) + term.factor
    return tuple(Term(feature, factor, sizes, grain) for (feature, sizes, grain), factor in found.items())


def counted_terms(coupling: Coupling) -> tuple[Term, ...]:
    """What :class:`CostModel` counts (macs, params, size, channels), as terms."""
    free = free_atoms(coupling)
    return merged(
        Term(kind, factor * constant, sizes)
        for kind, factor, dims in _counted(coupling)
        for constant, sizes in (split_sizes(dims, free),)
    )


def _counted(coupling: Coupling) -> Iterator[tuple[str, int, tuple[Dim, ...]]]:
    for _, rule in live_nodes(coupling):
        for product in rule.work:
            yield "macs", 1, tuple(coupling.norm(dim) for dim in product)
    for name, param in coupling.graph.params.items():
        if param.trained:
            yield "params", 1, coupling.dims[name]
            yield "size", BYTES.get(param.dtype, 4), coupling.dims[name]
    for leaf in free_atoms(coupling):
        yield "channels", 1, (leaf,)


def engine_terms(coupling: Coupling, grain: int, skip: frozenset[str] = frozenset()) -> tuple[Term, ...]:
    """What an engine's time is made of, to be weighted by a fit.

    Multiply-accumulates by kind of work with sizes rounded up to ``grain``, bytes of weights, bytes of data
    read and written. What is the same at all widths (starting, dispatching) is a feature of its own.

    Args:
        skip: names of nodes whose time is known otherwise.
    """
    free = free_atoms(coupling)
    found = [Term("start", 1.0, ())]
    for node, rule in live_nodes(coupling):
        if node.name in skip:
            continue
        kind = kind_of(coupling, node)
        for product in rule.work if kind != MOVED else ():
            factor, sizes = split_sizes((coupling.norm(dim) for dim in product), free)
            found.append(Term(kind, factor, sizes, grain))
        codes = codes_read(coupling.graph, node)
        names = dict.fromkeys(name for name in (*node.inputs, *node.outputs) if name is not None)
        for name in names:
            weight = name in coupling.graph.params or name in coupling.static
            # What stands for codes is never written out by an engine that computes with them.
            coded = codes.get(name) if weight else codes_of(coupling.graph, name)
            factor, sizes = split_sizes(coupling.dims[name], free)
            count = BYTES.get(coupling.graph.tensor(coded or name).dtype, 4)
            found.append(Term("weights" if weight else MOVED, factor * count, sizes))
    return merged(found)
