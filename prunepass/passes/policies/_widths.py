"""Which widths a group may take: the grain that an engine rewards, carried to the atoms of products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, gcd
from math import prod as product

from ...ir import Atom, Dim, Dims, Fixed, Node, Prod, Sum, atoms_of, kept_size, rule_of
from ..cost import dtype_of, kind_of, live_nodes
from ..coupling import Coupling

_COMPARED = 2


@dataclass(frozen=True)
class Grain:
    """The multiples that an engine wants.

    Attributes:
        align: where nothing else is said.
        by_work: for the tensors of nodes of some kind of work (:mod:`..cost._kinds`), perhaps in one dtype only:
            ``window``, ``dense/int8``. The narrower key wins.
        minimum: for groups that are narrower than their multiple; 0 keeps them whole.
    """

    align: int = 1
    by_work: Mapping[str, float] = field(default_factory=dict)
    minimum: int = 0

    def of(self, kind: str, dtype: str) -> int:
        found = self.by_work.get(f"{kind}/{dtype}", self.by_work.get(kind, self.align))
        return max(1, int(found))

    def narrow(self, size: int) -> int:
        """The step of a group that no tensor's multiple fits into."""
        return self.minimum if self.minimum and size < self.align else self.align

    def __str__(self) -> str:
        return ", ".join([str(self.align), *(f"{key}:{int(step)}" for key, step in self.by_work.items())])

    @property
    def coarsest(self) -> int:
        return max(1, self.align, *(int(step) for step in self.by_work.values()))


def steps(coupling: Coupling, grain: Grain | int) -> dict[Atom, int]:
    """For every group's atom the step in which its width may shrink so that whole dims stay aligned.

    A dim that is a product is aligned when one factor is: inner factors large enough carry the grain
    (head_dim), otherwise they stay whole and the outer ones move in the steps that remain (channels per
    group 4, align 8: the number of groups moves in twos). A width that is not a multiple to begin with
    can only be brought down to the multiple below; one that is narrower than it moves in the grain's minimum.
    """
    wanted = Grain(grain) if isinstance(grain, int) else grain
    found = {group.atom: 1 for group in coupling.prunable if group.atom is not None}
    if wanted.coarsest <= 1:
        return found
    asked: dict[Atom, list[int]] = {leaf: [] for leaf in found}
    for align, tensors in _by_align(coupling, wanted).items():
        for part in _parts(tensors) if align > 1 else ():
            for leaf, step in _shares(part, align):
                if leaf in asked:
                    asked[leaf].append(step)
    # What one dim frees may still be needed by another one: the coarsest wish holds.
    return {leaf: max(wishes, default=wanted.narrow(leaf.size)) for leaf, wishes in asked.items()}


def _by_align(coupling: Coupling, grain: Grain) -> dict[int, list[Dims]]:
    """The dims of all tensors by the multiple that the nodes around each want; the coarsest wish holds."""
    if not grain.by_work:
        return {grain.align: list(coupling.dims.values())}
    wishes: dict[str, list[int]] = {name: [] for name in coupling.dims}
    for node, _ in live_nodes(coupling):
        step = grain.of(kind_of(coupling, node), dtype_of(coupling.graph, node))
        for name in _tensors(node):
            wishes[name].append(step)
    found: dict[int, list[Dims]] = {}
    for name, dims in coupling.dims.items():
        found.setdefault(max(wishes[name], default=grain.align), []).append(dims)
    return found


def _tensors(node: Node) -> Iterator[str]:
    """What the node reads and makes."""
    yield from (name for name in (*node.inputs, *node.outputs) if name is not None)


def _parts(tensors: Iterable[Dims]) -> Iterator[Atom | Prod]:
    """The distinct segments of the dims of tensors, and every product inside them."""
    seen: set[Dim] = set()
    for dims in tensors:
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


def least_widths(coupling: Coupling) -> dict[Atom, int]:
    """For every group's atom how many channels must stay whatever is asked for.

    One; two of the widest group where rules compare entries with their own mean over nothing but groups: of a
    single entry nothing is left, and hosts refuse it.
    """
    least = {group.atom: 1 for group in coupling.prunable if group.atom is not None}
    for node in coupling.graph.nodes:
        over = [coupling.norm(dim) for dim in rule_of(coupling.graph, node).centred]
        shared = [leaf for dim in over for leaf in atoms_of(dim) if leaf in least]
        if shared and product(kept_size(dim, least) for dim in over) < _COMPARED:
            least[max(shared, key=lambda leaf: leaf.size)] = _COMPARED
    return least


def allowed_widths(size: int, step: int, floor: float, least: int = 1) -> list[int]:
    """Widths a group may take, descending, from ``size`` itself to the least."""
    least = max(least, ceil(size * floor - 1e-9))
    if step >= size:
        return [size]
    top = (size - 1) // step * step
    return [size, *(width for width in range(top, 0, -step) if width >= least)]
