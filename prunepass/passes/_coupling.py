"""Which channels are tied together: the solution of all operator rules of a graph.

Every rule's dims are unified with those of the tensors it names. What is left are atoms; each unpinned atom
that some float weight holds and some operator sums over (or takes statistics of) is one group of coupled
channels. Nothing here knows an operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..ir import (
    Atom,
    Dim,
    Dims,
    Fixed,
    Graph,
    Node,
    Param,
    Pin,
    Space,
    UsageError,
    atoms_of,
    fixed,
    is_float,
    leaves,
    registry,
    rule_of,
)

# Operands that go with the channels that another operand makes.
_ADDED = frozenset(("bias", "scale", "shift", "mean", "var"))


@dataclass(frozen=True, slots=True)
class Member:
    """One place where a group's channels occur.

    Attributes:
        node: the node that uses them.
        tensor, axis: where; a param or a value.
        role: ``produced`` (rows of a weight that makes them), ``contracted`` (columns of a weight
            that sums over them), ``carried`` (a bias, a scale, a depthwise weight), ``read`` (data that is
            summed over) or ``statistic`` (data whose mean or variance is taken).
    """

    node: str
    tensor: str
    axis: int
    role: str


@dataclass(frozen=True)
class Group:
    """Channels that can only be cut together.

    Attributes:
        name: path of the first layer that makes them.
        size: number of channels.
        members: where they occur.
        pins: why they may not be cut; empty where they may.
        inexact: why cutting them changes the function beyond removing them; empty where it does not.
        atom: the index space, None where pinned.
    """

    name: str
    size: int
    members: tuple[Member, ...]
    pins: tuple[Pin, ...] = ()
    inexact: tuple[str, ...] = ()
    atom: Atom | None = field(default=None, repr=False, compare=False)

    @property
    def prunable(self) -> bool:
        return self.atom is not None


@dataclass(frozen=True, eq=False)
class Coupling:
    """Dims of every tensor in terms of final atoms, and the groups.

    Attributes:
        dims: by tensor name, in normal form.
        groups: prunable groups, then pinned ones, each in order of first appearance.
        static: values that depend on params alone.
    """

    graph: Graph
    space: Space
    dims: Mapping[str, Dims]
    groups: tuple[Group, ...]
    static: frozenset[str]

    def norm(self, dim: Dim) -> Dim:
        return self.space.norm(dim)

    @property
    def prunable(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.prunable)

    def group(self, name: str) -> Group:
        """The group called ``name``; raises UsageError where there is none."""
        for group in self.groups:
            if group.name == name:
                return group
        raise UsageError(f"there is no group '{name}'", advice="'prunepass analyze' lists the groups")


def couple(graph: Graph) -> Coupling:
    """Solve the rules of ``graph``; memoised per graph object. Linear in the number of nodes."""
    result: Coupling = graph.memo("coupling", _couple)
    return result


def _couple(graph: Graph) -> Coupling:
    space, dims = Space(), dict[str, Dims]()
    for node in graph.nodes:
        rule = rule_of(graph, node)
        for name, operand in zip(node.inputs, rule.operands, strict=True):
            if name is not None and operand is not None:
                _meet(space, dims, name, operand)
        for name, result in zip(node.outputs, rule.results, strict=False):
            _meet(space, dims, name, result)
        for dim, reason in rule.pins:
            space.pin(dim, Pin(reason, node.origin))
    for name in (*graph.inputs, *graph.values, *graph.params):
        if name not in dims:
            dims[name] = fixed(graph.tensor(name).shape)
    _pin_boundaries(graph, space, dims)
    final = {name: tuple(space.norm(dim) for dim in tensor) for name, tensor in dims.items()}
    static = static_values(graph)
    return Coupling(graph, space, final, tuple(_groups(graph, space, static)), static)


def _meet(space: Space, dims: dict[str, Dims], name: str, seen: Dims) -> None:
    known = dims.setdefault(name, seen)
    if known is not seen:
        for one, other in zip(known, seen, strict=True):
            space.unify(one, other)


def _pin_boundaries(graph: Graph, space: Space, dims: Mapping[str, Dims]) -> None:
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            for dim in dims[name]:
                space.pin(dim, Pin(f"model {kind} '{name}'"))
    for name, axis, reason in graph.pins:
        space.pin(dims[name][axis], Pin(reason))
    for tie in graph.ties:
        (left, i), (right, j) = tie.left, tie.right
        space.unify(dims[left][i], dims[right][j])


def static_values(graph: Graph) -> frozenset[str]:
    """Values that are computed from params alone, whatever the input."""
    static: set[str] = set()
    for node in graph.nodes:
        if all(name is None or name in graph.params or name in static for name in node.inputs):
            static.update(node.outputs)
    return frozenset(static)


def _groups(graph: Graph, space: Space, static: frozenset[str]) -> Iterable[Group]:
    found: dict[Atom | Fixed, list[Member]] = {}
    inexact: dict[Atom, dict[str, None]] = {}
    for node in graph.nodes:
        _collect(graph, space, static, node, found, inexact)
    names: dict[str, int] = {}
    pinned = list[Group]()
    for leaf, members in found.items():
        makers = [m for m in members if m.role == "produced"] or [m for m in members if m.role == "carried"]
        if not makers or not _has_weight(graph, static, members):
            continue
        name = _unique(_maker_name(graph, makers[0]), names)
        if isinstance(leaf, Fixed):
            pinned.append(Group(name, leaf.size, tuple(members), leaf.pins))
        elif any(m.role in ("contracted", "read", "statistic") for m in members):
            yield Group(name, leaf.size, tuple(members), (), tuple(inexact.get(leaf, ())), leaf)
    yield from pinned


def _collect(
    graph: Graph,
    space: Space,
    static: frozenset[str],
    node: Node,
    found: dict[Atom | Fixed, list[Member]],
    inexact: dict[Atom, dict[str, None]],
) -> None:
    rule = rule_of(graph, node)
    summed = _leaf_set(space, rule.contracted)
    counted = _leaf_set(space, rule.statistics)
    passing = _passing(graph, space, static, node)
    op = registry()[node.op]
    for position, (name, operand) in enumerate(zip(node.inputs, rule.operands, strict=True)):
        if name is None or operand is None:
            continue
        added = op.operand(position) in _ADDED
        weight = name in graph.params or name in static
        for axis, dim in enumerate(operand):
            for leaf in dict.fromkeys(leaves(space.norm(dim))):
                if isinstance(leaf, Fixed) and not leaf.pins:
                    continue
                role = _role(weight, leaf in summed, leaf in counted, added or leaf in passing)
                if role and (isinstance(leaf, Atom) or role == "produced"):
                    found.setdefault(leaf, []).append(Member(node.name, name, axis, role))
    for leaf in counted:
        if isinstance(leaf, Atom):
            where = str(node.origin) or node.name
            inexact.setdefault(leaf, {})[f"statistics are taken over these channels [{where}]"] = None


def _leaf_set(space: Space, dims: Dims) -> set[Atom | Fixed]:
    return {leaf for dim in dims for leaf in leaves(space.norm(dim))}


def _passing(graph: Graph, space: Space, static: frozenset[str], node: Node) -> set[Atom | Fixed]:
    """Channels that the node's data already has: its weights do not make them, they carry them along."""
    found: set[Atom | Fixed] = set()
    for name, operand in zip(node.inputs, rule_of(graph, node).operands, strict=True):
        if name is not None and operand is not None and name not in graph.params and name not in static:
            found |= _leaf_set(space, operand)
    return found


def _role(weight: bool, summed: bool, counted: bool, passing: bool) -> str:
    if weight:
        return "contracted" if summed else "carried" if passing else "produced"
    return "read" if summed else "statistic" if counted else ""


def _has_weight(graph: Graph, static: frozenset[str], members: Iterable[Member]) -> bool:
    for member in members:
        tensor = graph.params.get(member.tensor)
        if member.tensor in static or (isinstance(tensor, Param) and is_float(tensor.dtype)):
            return True
    return False


def _maker_name(graph: Graph, member: Member) -> str:
    node: Node = _nodes(graph)[member.node]
    return node.origin.path or node.name


def _nodes(graph: Graph) -> Mapping[str, Node]:
    result: Mapping[str, Node] = graph.memo("nodes", lambda g: {node.name: node for node in g.nodes})
    return result


def _unique(name: str, names: dict[str, int]) -> str:
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else f"{name}#{names[name]}"


def leaf_atoms(dims: Dims) -> tuple[Atom, ...]:
    """The distinct atoms of several dims, in order."""
    return tuple(dict.fromkeys(leaf for dim in dims for leaf in atoms_of(dim)))
