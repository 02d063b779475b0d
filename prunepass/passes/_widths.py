"""Which widths a group may take: the grain that an engine rewards, carried to the atoms of products."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd, prod

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
    for leaf in found:
        found[leaf] = align
    for product in _products(coupling):
        _share(product, align, found)
    return found


def _products(coupling: Coupling) -> Iterator[Prod]:
    """Every distinct product inside the dims of any tensor."""
    seen: set[int] = set()
    for dims in coupling.dims.values():
        stack: list[Dim] = list(dims)
        while stack:
            part = stack.pop()
            if isinstance(part, (Atom, Fixed)) or id(part) in seen:
                continue
            seen.add(id(part))
            stack.extend(part.parts)
            if isinstance(part, Prod):
                yield part


def _share(product: Prod, align: int, found: dict[Atom, int]) -> None:
    """Let the innermost atom that can carry the grain do so, and free or freeze the others."""
    atoms = [part for part in product.parts if isinstance(part, Atom) and part in found]
    if any(isinstance(part, Sum) for part in product.parts) or not atoms:
        return
    carrier = next((leaf for leaf in reversed(atoms) if leaf.size >= align and leaf.size % align == 0), None)
    if carrier is not None:
        for leaf in atoms:
            if leaf is not carrier and leaf.size < align:
                found[leaf] = 1
        return
    still = prod(part.size for part in product.parts if part not in atoms or part is not atoms[0])
    for leaf in atoms[1:]:
        found[leaf] = leaf.size
    found[atoms[0]] = min(found[atoms[0]], align // gcd(align, still))


def allowed_widths(size: int, step: int, floor: float) -> list[int]:
    """Widths a group may take, descending, from ``size`` itself to the least."""
    least = max(1, ceil(size * floor - 1e-9))
    if step >= size:
        return [size]
    top = (size - 1) // step * step
    return [size, *(width for width in range(top, 0, -step) if width >= least)]
