"""The widths that a group may keep: the grain that an engine rewards, carried to the atoms of products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, gcd
from math import prod as product

import numpy as np

from ...ir import (
    Array,
    Atom,
    Dim,
    Dims,
    Fixed,
    Index,
    Node,
    Prod,
    Sum,
    UsageError,
    atoms_of,
    kept_size,
    rule_of,
)
from ..cost import dtype_of, kind_of, live_nodes
from ..coupling import Coupling, Group
from ._ratios import fractions_of

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


def multiples(coupling: Coupling, grain: Grain | int) -> dict[Atom, int]:
    """For every group's atom the multiple that its width comes in so that whole dims stay aligned.

    A dim that is a product is aligned when one factor is: inner factors large enough carry the grain
    (head_dim), otherwise they stay whole and the outer ones move in the steps that remain (channels per
    group 4, align 8: the number of groups moves in twos). A width that is not a multiple to begin with
    can only be brought down to the multiple below; one that is narrower than it moves in the grain's minimum.
    """
    grain = Grain(grain) if isinstance(grain, int) else grain
    found = {group.atom: 1 for group in coupling.prunable if group.atom is not None}
    if grain.coarsest <= 1:
        return found
    wishes: dict[Atom, list[int]] = {leaf: [] for leaf in found}
    for align, tensors in _by_align(coupling, grain).items():
        for part in _parts(tensors) if align > 1 else ():
            for leaf, step in _shares(part, align):
                if leaf in wishes:
                    wishes[leaf].append(step)
    # What one dim frees may still be needed by another one: the coarsest wish holds.
    return {leaf: max(steps, default=grain.narrow(leaf.size)) for leaf, steps in wishes.items()}


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
    """Names of the node's operands and results."""
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


@dataclass(frozen=True, eq=False)
class GroupWidths:
    """A group, its channels in the order in which they go, and the widths that it may keep.

    Attributes:
        order: channels, the lowest score first; of equals the first one.
        scores: of the channels, in that order.
        widths: descending.
    """

    group: Group
    atom: Atom
    order: Index
    scores: Array
    widths: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def size(self) -> int:
        return self.group.size

    def removed(self, width: int) -> Index:
        """The channels that go where ``width`` stay."""
        return np.sort(self.order[: self.size - width])

    def losses(self) -> Array:
        """For each step from one width to the next the mean score of the channels that it takes."""
        starts = self.size - np.asarray(self.widths)
        return np.add.reduceat(self.scores, starts)[:-1] / np.diff(starts)


def group_widths(
    coupling: Coupling,
    scores: Mapping[str, Array],
    grain: Grain,
    floor: float = 0.0,
    ratios: Mapping[str, float] | None = None,
) -> tuple[GroupWidths, ...]:
    """The prunable groups with the widths that grain, floor and ratios leave each.

    Raises:
        UsageError: a score is missing or not finite, or a ratio is for a layer that is not there.
    """
    step, least = multiples(coupling, grain), least_widths(coupling)
    fractions = fractions_of(coupling, ratios or {})
    found = []
    for group in coupling.prunable:
        assert group.atom is not None
        values = _checked(group, scores)
        order = np.argsort(values, kind="stable")
        widths = allowed_widths(group.size, step[group.atom], floor, least[group.atom])
        if group.name in fractions:
            widths = [_nearest(widths, fractions[group.name] * group.size)]
        found.append(GroupWidths(group, group.atom, order, values[order], tuple(widths)))
    return tuple(found)


def _checked(group: Group, scores: Mapping[str, Array]) -> Array:
    values = np.asarray(scores.get(group.name, ()), dtype=np.float64)
    if values.shape != (group.size,) or not np.all(np.isfinite(values)):
        raise UsageError(
            f"scores of group '{group.name}' are not {group.size} finite numbers",
            advice="a score gives one number per channel, larger = keep",
        )
    return values


def _nearest(widths: list[int], most: float) -> int:
    """The largest of the widths that is at most ``most``, else the least."""
    return next((width for width in widths if width <= most + 1e-9), widths[-1])
