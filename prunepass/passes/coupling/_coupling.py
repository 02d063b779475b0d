"""Coupled channels: the solution of all operator rules of a graph.

Every rule's dims are unified with those of the tensors it names. What is left are atoms; each unpinned atom
that some float weight holds and some operator sums over (or takes statistics of) is one group of coupled
channels. Nothing here knows an operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...ir import (
    Atom,
    Dim,
    Dims,
    Fixed,
    Graph,
    Node,
    Param,
    Pin,
    Rule,
    Space,
    UsageError,
    atoms_of,
    fixed,
    is_float,
    leaves,
    registry,
    rule_of,
)
from ._boundaries import numbered_params, pin_boundaries, pin_freed
from ._group_text import group_text
from ._weight_sums import sum_reason, weight_sums

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

    def __str__(self) -> str:
        return group_text(self)


@dataclass(frozen=True, eq=False)
class Coupling:
    """Dims of every tensor in terms of final atoms, and the groups.

    Attributes:
        dims: by tensor name, in normal form.
        groups: prunable groups, then pinned ones, each in order of first appearance.
        static: values that depend on params alone.
        indexed: params whose entries are positions along a dim, with that dim.
        weight_sums: by name of each node that sums over weights alone, the channels that it sums along.
    """

    graph: Graph
    space: Space
    dims: Mapping[str, Dims]
    groups: tuple[Group, ...]
    static: frozenset[str]
    indexed: Mapping[str, Dim]
    weight_sums: Mapping[str, frozenset[Atom]]

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
    pin_boundaries(graph, space, dims)
    places = numbered_params(graph, space)
    static = static_values(graph)
    if graph.freed:
        pin_freed(graph, space, dims, _made(graph, space, static))
    final = {name: tuple(space.norm(dim) for dim in tensor) for name, tensor in dims.items()}
    sums = weight_sums(graph, space, final, static)
    groups = tuple(_groups(graph, space, final, static, sums))
    return Coupling(graph, space, final, groups, static, places, sums)


def _meet(space: Space, dims: dict[str, Dims], name: str, seen: Dims) -> None:
    known = dims.setdefault(name, seen)
    if known is not seen:
        for one, other in zip(known, seen, strict=True):
            space.unify(one, other)


def static_values(graph: Graph) -> frozenset[str]:
    """Values that are computed from params alone, whatever the input; what is drawn at random is none."""
    static: set[str] = set()
    for node in graph.nodes:
        if registry()[node.op].random(node.attrs):
            continue
        if all(name is None or name in graph.params or name in static for name in node.inputs):
            static.update(node.outputs)
    return frozenset(static)


def _groups(
    graph: Graph,
    space: Space,
    dims: Mapping[str, Dims],
    static: frozenset[str],
    sums: Mapping[str, frozenset[Atom]],
) -> Iterable[Group]:
    found: dict[Atom | Fixed, dict[Member, None]] = {}
    inexact: dict[Atom, dict[str, None]] = {}
    for node in graph.nodes:
        _collect(graph, space, static, node, found)
        _explain_inexact(space, node, rule_of(graph, node), sums, inexact)
    inner = {node.name for node in graph.nodes if not static.isdisjoint(node.outputs)}
    mixed = _mixed(graph, space)
    given = {leaf for name in graph.freed for dim in dims[name] for leaf in atoms_of(dim)}
    names: dict[str, int] = {}
    pinned = list[tuple[Atom | Fixed, dict[Member, None], str]]()
    for leaf, members in found.items():
        makers = _makers(members, inner)
        if not makers or not _has_weight(graph, static, members):
            continue
        name = _maker_name(graph, makers[0])
        if isinstance(leaf, Fixed) or (leaf in mixed and not _summed_up(graph, members, inner)):
            pinned.append((leaf, members, name))
        elif leaf in given or any(m.role in ("contracted", "read", "statistic") for m in members):
            unique = _unique(name, names)
            yield Group(unique, leaf.size, tuple(members), (), tuple(inexact.get(leaf, ())), leaf)
    # Named last: what is pinned may depend on the batch size, the names of prunable groups may not.
    for kept, members, name in pinned:
        pins = kept.pins if isinstance(kept, Fixed) else (mixed[kept],)
        yield Group(_unique(name, names), kept.size, tuple(members), pins)


def _mixed(graph: Graph, space: Space) -> dict[Atom, Pin]:
    """Index spaces that may be positions, with the reason why those stay."""
    return {
        leaf: Pin(reason, node.origin)
        for node in reversed(graph.nodes)
        for dim, reason in rule_of(graph, node).mixed
        for leaf in atoms_of(space.norm(dim))
    }


def _summed_up(graph: Graph, members: Iterable[Member], inner: set[str]) -> bool:
    """Return whether some node makes the channels as weighted sums of data; entries joined or looked up are none."""
    nodes = _nodes(graph)
    return any(
        member.role == "produced"
        and member.node not in inner
        and rule_of(graph, nodes[member.node]).contracted
        for member in members
    )


def _makers(members: Iterable[Member], inner: set[str]) -> list[Member]:
    """Who makes the channels, layers before those nodes that only compute weights; else who carries them."""
    made = [member for member in members if member.role == "produced"]
    layers = [member for member in made if member.node not in inner]
    return layers or made or [member for member in members if member.role == "carried"]


def _collect(
    graph: Graph,
    space: Space,
    static: frozenset[str],
    node: Node,
    found: dict[Atom | Fixed, dict[Member, None]],
) -> None:
    rule = rule_of(graph, node)
    for name, axis, own, role in _roles(graph, static, node, rule):
        for leaf in dict.fromkeys(leaves(space.norm(own))):
            if isinstance(leaf, Fixed) and not (leaf.pins and role == "produced"):
                continue
            found.setdefault(leaf, {})[Member(node.name, name, axis, role)] = None


def _explain_inexact(
    space: Space,
    node: Node,
    rule: Rule,
    sums: Mapping[str, frozenset[Atom]],
    inexact: dict[Atom, dict[str, None]],
) -> None:
    """Note why a cut changes more than what the node reads of its channels."""
    weighed = sums.get(node.name, frozenset())
    for leaf in weighed:
        inexact.setdefault(leaf, {})[sum_reason(node)] = None
    where = str(node.origin) or node.name
    for leaf in (leaf for dim in rule.statistics for leaf in atoms_of(space.norm(dim))):
        if leaf not in weighed:
            inexact.setdefault(leaf, {})[f"statistics are taken over these channels [{where}]"] = None


def _roles(
    graph: Graph, static: frozenset[str], node: Node, rule: Rule
) -> Iterator[tuple[str, int, Atom | Fixed, str]]:
    """``(tensor, axis, index space, role)`` wherever the node uses one.

    It is the rule's own spaces that are asked, not what they have become: a layer whose inputs and outputs
    are tied still has rows that make and columns that sum. A recurrent weight has one space on both axes.
    """
    op = registry()[node.op]
    operands = [
        (position, name, dims)
        for position, (name, dims) in enumerate(zip(node.inputs, rule.operands, strict=True))
        if name is not None and dims is not None
    ]
    weights = {name for _, name, _ in operands if name in graph.params or name in static}
    passing = _own(dims for _, name, dims in operands if name not in weights)
    summed, counted, made = _own((rule.contracted,)), _own((rule.statistics,)), _own(rule.results)
    for position, name, dims in operands:
        added, before = op.operand(position) in _ADDED, set[Atom | Fixed]()
        for axis, dim in enumerate(dims):
            for own in dict.fromkeys(leaves(dim)):
                if name not in weights:
                    role = "read" if own in summed else "statistic" if own in counted else ""
                elif own in summed and (own in before or own not in made):
                    role = "contracted"
                else:
                    role = "carried" if added or (own in passing and own not in summed) else "produced"
                if role:
                    yield name, axis, own, role
            before.update(leaves(dim))


def produced(coupling: Coupling) -> frozenset[Atom | Fixed]:
    """The index spaces that weights make channels of."""
    graph = coupling.graph
    return frozenset(
        leaf
        for node in graph.nodes
        for _, _, own, role in _roles(graph, coupling.static, node, rule_of(graph, node))
        if role == "produced"
        for leaf in leaves(coupling.norm(own))
    )


def _made(graph: Graph, space: Space, static: frozenset[str]) -> frozenset[Atom | Fixed]:
    """The index spaces that layers make as weighted sums of data."""
    return frozenset(
        leaf
        for node in graph.nodes
        for rule in (rule_of(graph, node),)
        if rule.contracted and static.isdisjoint(node.outputs)
        for _, _, own, role in _roles(graph, static, node, rule)
        if role == "produced"
        for leaf in leaves(space.norm(own))
    )


def _own(groups: Iterable[Dims]) -> set[Atom | Fixed]:
    """The index spaces that a rule mentions in some dims."""
    return {leaf for dims in groups for dim in dims for leaf in leaves(dim)}


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
