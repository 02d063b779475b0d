"""Which widths a group may take: the grain that an engine rewards, carried to the atoms of products."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd

from ..ir import Atom, Dim, Fixed, Prod, Sum
from ._coupling import Coupling


def steps(coupling: Coupling, align: int) -> dict[Atom, int]:
    """For every group's atom the step in which its width may shrink so that whole dims stay aligned.

    A dim that is a product is aligned when one factor is: inner factors large enough carry the grain
    (head_dim), otherwise they stay whole and the outer ones move in the steps that remain (channels per
    group 4, align 8: the number of groups moves in twos). A width that is not a multiple to begin with
    can only be brought down to the multiple below.
    """
    found = {group.atom: 1 for group in coupling.prunable if group.atom is not None}
    if align <= 1:
        return found
    asked: dict[Atom, list[int]] = {leaf: [] for leaf in found}
    for part in _parts(coupling):
        for leaf, step in _shares(part, align):
            if leaf in asked:
                asked[leaf].append(step)
    # What one dim frees may still be needed by another one: the coarsest wish holds.
    return {leaf: max(wishes, default=align) for leaf, wishes in asked.items()}


def _parts(coupling: Coupling) -> Iterator[Atom | Prod]:
    """The distinct segments of the dims of any tensor, and every product inside them."""
    seen: set[Dim] = set()
    for dims in coupling.dims.values():
        stack: list[Dim] = list(dims)
        while stack:
            part = stack.pop()
            if isinstance(part, Fixed) or part in seen:
                continue
            seen.add(part)
            if not isinstance(part, Sum):
                yield part
            if isinstance(part, Prod):
                stack.extend(inner for inner in part.parts if not isinstance(inner, Atom))
            elif isinstance(part, Sum):
                stack.extend(part.parts)


def _shares(part: Atom | Prod, align: int) -> Iterator[tuple[Atom, int]]:
    """The step that one segment asks of each of its atoms."""
    if isinstance(part, Atom):
        if part.size >= align:
            yield part, align
        return
    atoms = [leaf for leaf in part.parts if isinstance(leaf, Atom)]
    if not atoms or any(isinstance(inner, Sum) for inner in part.parts):
        yield from ((leaf, align) for leaf in atoms)
        return
    carrier = next((leaf for leaf in reversed(atoms) if leaf.size >= align and leaf.size % align == 0), None)
    if carrier is not None:
        yield from ((leaf, align if leaf is carrier or leaf.size >= align else 1) for leaf in atoms)
        return
    still = part.size // atoms[0].size
    yield atoms[0], align // gcd(align, still)
    yield from ((leaf, leaf.size) for leaf in atoms[1:])


def allowed_widths(size: int, step: int, floor: float) -> list[int]:
    """Widths a group may take, descending, from ``size`` itself to the least."""
    least = max(1, ceil(size * floor - 1e-9))
    if step >= size:
        return [size]
    top = (size - 1) // step * step
    return [size, *(width for width in range(top, 0, -step) if width >= least)]
