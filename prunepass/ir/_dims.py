"""The dim algebra: what the index space of one axis is made of.

A dim is an ``Atom`` (channels that may be cut), a ``Fixed`` (never cut), a ``Prod`` (outer .. inner,
row-major as in a reshape) or a ``Sum`` (segments side by side as in a concat). ``prod`` and ``total``
build the normal form: flat, no empty or size-1 parts, and an outermost Sum distributed out of a Prod.
Expressions are values; only :class:`~prunepass.ir.Space` knows what an atom has been refined into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod as _product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ._origin import Pin

Index: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """An index space with an identity: the unit that is coupled, scored and cut."""

    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """An index space that is never cut nor refined; ``pins`` say why, empty where it is plain."""

    size: int
    pins: tuple[Pin, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Prod:
    """Row-major product of two or more parts, outer first."""

    parts: tuple[Dim, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _product(part.size for part in self.parts))


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Two or more segments side by side."""

    parts: tuple[Dim, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sum(part.size for part in self.parts))


Dim: TypeAlias = Atom | Fixed | Prod | Sum
Dims: TypeAlias = tuple[Dim, ...]

_MAX_PINS = 4


def atom(size: int) -> Dim:
    """A fresh index space of ``size``; sizes 0 and 1 have nothing to cut and are Fixed."""
    return Atom(size) if size > 1 else Fixed(size)


def atoms(shape: Iterable[int]) -> Dims:
    """One fresh dim for each size of ``shape``."""
    return tuple(atom(size) for size in shape)


def fixed(shape: Iterable[int], *pins: Pin) -> Dims:
    """One Fixed dim for each size of ``shape``."""
    return tuple(Fixed(size, pins) for size in shape)


def sizes(dims: Iterable[Dim]) -> tuple[int, ...]:
    """The shape that ``dims`` describe."""
    return tuple(dim.size for dim in dims)


def merge_pins(parts: Iterable[Fixed]) -> tuple[Pin, ...]:
    """The distinct reasons of several Fixed dims; the first few, for there may be thousands."""
    seen: dict[Pin, None] = {}
    for part in parts:
        seen.update(dict.fromkeys(part.pins))
    return tuple(seen)[:_MAX_PINS]


def prod(*parts: Dim) -> Dim:
    """The product of ``parts``, outer first, in normal form; of nothing it is ``Fixed(1)``."""
    flat: list[Dim] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Prod) else (part,))
    flat = [part for part in flat if part.size != 1]
    if len(flat) == 1:
        return flat[0]
    frozen = [part for part in flat if isinstance(part, Fixed)]
    if len(frozen) == len(flat):
        return Fixed(_product(part.size for part in flat), merge_pins(frozen))
    if any(part.size == 0 for part in flat):
        return Fixed(0)
    head = flat[0]
    if isinstance(head, Sum):
        return total(*(prod(segment, *flat[1:]) for segment in head.parts))
    return Prod(tuple(flat))


def total(*parts: Dim) -> Dim:
    """The segments ``parts`` side by side in normal form; of nothing it is ``Fixed(0)``."""
    flat: list[Dim] = []
    for part in parts:
        for segment in part.parts if isinstance(part, Sum) else (part,):
            if segment.size == 0:
                continue
            last = flat[-1] if flat else None
            if isinstance(segment, Fixed) and isinstance(last, Fixed):
                flat[-1] = Fixed(last.size + segment.size, merge_pins((last, segment)))
            else:
                flat.append(segment)
    if not flat:
        return Fixed(0)
    return flat[0] if len(flat) == 1 else Sum(tuple(flat))


def leaves(dim: Dim) -> Iterator[Atom | Fixed]:
    """Atoms and Fixed parts of ``dim`` in order, repeated as often as they occur."""
    stack: list[Dim] = [dim]
    while stack:
        part = stack.pop()
        if isinstance(part, (Atom, Fixed)):
            yield part
        else:
            stack.extend(reversed(part.parts))


def atoms_of(dim: Dim) -> Iterator[Atom]:
    """The atoms of ``dim`` in order, repeated as often as they occur."""
    return (leaf for leaf in leaves(dim) if isinstance(leaf, Atom))


def kept_size(dim: Dim, kept: Mapping[Atom, int]) -> int:
    """Number of entries of ``dim`` that stay when each atom keeps ``kept[atom]`` of its own."""
    if isinstance(dim, Atom):
        return kept.get(dim, dim.size)
    if isinstance(dim, Fixed):
        return dim.size
    counts = (kept_size(part, kept) for part in dim.parts)
    return _product(counts) if isinstance(dim, Prod) else sum(counts)


def kept_index(dim: Dim, kept: Mapping[Atom, Index]) -> Index:
    """Entries of ``dim`` that stay, ascending, when each atom keeps the indices ``kept[atom]``."""
    if isinstance(dim, Atom):
        return kept[dim] if dim in kept else np.arange(dim.size)
    if isinstance(dim, Fixed):
        return np.arange(dim.size)
    if isinstance(dim, Sum):
        starts = np.cumsum([0, *(part.size for part in dim.parts)])
        pieces = [kept_index(part, kept) + start for part, start in zip(dim.parts, starts, strict=False)]
        return np.concatenate(pieces)
    index = np.zeros(1, dtype=np.int64)
    for part in dim.parts:
        index = (index[:, None] * part.size + kept_index(part, kept)[None, :]).ravel()
    return index


def positions(dim: Dim) -> dict[Atom, list[tuple[Index, Index]]]:
    """Places of each atom's indices in ``dim``.

    Returns:
        For each atom a list of ``(entry, index)`` pairs of equal length: entry ``entry[k]`` of the dim
        belongs to index ``index[k]`` of the atom. A Prod repeats an index many times.
    """
    found: dict[Atom, list[tuple[Index, Index]]] = {}
    _collect(dim, np.arange(dim.size), found)
    return found


def _collect(dim: Dim, entries: Index, found: dict[Atom, list[tuple[Index, Index]]]) -> None:
    """Walk ``dim``; ``entries`` has shape (dim.size, copies): the entries of the whole each stands for."""
    if not dim.size:
        return
    table = entries.reshape(dim.size, -1)
    if isinstance(dim, Atom):
        index = np.repeat(np.arange(dim.size), table.shape[1])
        found.setdefault(dim, []).append((table.ravel(), index))
    elif isinstance(dim, Sum):
        start = 0
        for part in dim.parts:
            _collect(part, table[start : start + part.size], found)
            start += part.size
    elif isinstance(dim, Prod):
        shape = tuple(part.size for part in dim.parts)
        grid = table.reshape(*shape, table.shape[1])
        for axis, part in enumerate(dim.parts):
            _collect(part, np.moveaxis(grid, axis, 0), found)
