"""One walk over the nodes that depend on the input, for analyses that carry something along with the data.

What depends on params alone is evaluated on the way, in float64, and dropped after its last reader, so that a
walk holds no more than what is still to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...ir import Array, Atom, Call, Graph, Node, Op, Rule, atoms_of, call_of, cast, leaves, registry, rule_of
from ._coupling import Coupling


@dataclass(frozen=True, eq=False)
class Step:
    """A node that depends on the input.

    Attributes:
        static: data of each operand that depends on params alone (floats as float64), None for the others.
        data: positions of the operands that depend on the input.
        expired: names of values that no later node reads.
    """

    node: Node
    op: Op
    call: Call
    rule: Rule
    static: tuple[Array | None, ...]
    data: tuple[int, ...]
    expired: tuple[str, ...]

    def named(self, position: int) -> str:
        """Declared name of an operand; one that repeats keeps its name."""
        return self.op.operand(position)


def steps(coupling: Coupling) -> Iterator[Step]:
    """Every node that depends on the input, in order."""
    graph, static = coupling.graph, dict[str, Array]()
    expiry = _last_reads(graph)
    for node in graph.nodes:
        op, call = registry()[node.op], call_of(graph, node)
        operands = tuple(None if name is None else _static(graph, name, static) for name in node.inputs)
        if node.outputs and node.outputs[0] in coupling.static:
            with np.errstate(all="ignore"):
                results = op.run(call, operands)
            static.update(zip(node.outputs, (cast(array, "float64") for array in results), strict=False))
        else:
            data = tuple(
                i
                for i, name in enumerate(node.inputs)
                if name in graph.values and name not in coupling.static
            )
            call = replace(call, known=_known(operands))
            yield Step(node, op, call, rule_of(graph, node), operands, data, expiry.get(node.name, ()))
        drop(static, expiry.get(node.name, ()))


def _known(operands: tuple[Array | None, ...]) -> Callable[[int], Array | None]:
    return lambda position: operands[position] if position < len(operands) else None


def drop(made: MutableMapping[str, Any], names: tuple[str, ...]) -> None:
    """Forget what no later node reads."""
    for name in names:
        made.pop(name, None)


def static_array(coupling: Coupling, name: str) -> Array:
    """Data of a param or of a value that depends on params alone; floats as float64."""
    graph = coupling.graph
    if name in graph.params:
        return cast(graph.params[name].read(), "float64")
    wanted = {name}
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(source for source in node.inputs if source is not None)
    made = dict[str, Array]()
    for node in graph.nodes:
        if not wanted.isdisjoint(node.outputs):
            operands = tuple(
                None if source is None else _static(graph, source, made) for source in node.inputs
            )
            results = registry()[node.op].run(call_of(graph, node), operands)
            made.update(zip(node.outputs, (cast(array, "float64") for array in results), strict=False))
    return made[name]


def _static(graph: Graph, name: str, made: Mapping[str, Array]) -> Array | None:
    if name in graph.params:
        return cast(graph.params[name].read(), "float64")
    return made.get(name)


def _last_reads(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each node the values that it is the last to read."""
    last = {name: node.name for node in graph.nodes for name in node.inputs if name in graph.values}
    found: dict[str, tuple[str, ...]] = {}
    for name, reader in last.items():
        if name is not None:
            found[reader] = (*found.get(reader, ()), name)
    return found


@dataclass(frozen=True)
class Read:
    """Atoms that a node sums over in one axis of an operand that depends on the input."""

    position: int
    axis: int
    atoms: tuple[Atom, ...]


def reads_of(coupling: Coupling, step: Step) -> tuple[Read, ...]:
    """Reads of a node: places where it sums over prunable channels.

    A product of two operands that both depend on the input is one read, at the first of them: both would
    count the same sum. So is a statistic that leaves nothing of the channels (a mean over them).
    """
    return sums_of(coupling, step.rule, step.data)


def sums_of(coupling: Coupling, rule: Rule, data: tuple[int, ...]) -> tuple[Read, ...]:
    """The same of a rule, with the positions of the operands that depend on the input."""
    prunable = _prunable(coupling)
    made = {leaf for dims in rule.results for dim in dims for leaf in leaves(dim)}
    summed = {leaf for dim in rule.contracted for leaf in leaves(dim)}
    summed |= {leaf for dim in rule.statistics for leaf in leaves(dim)} - made
    seen = set[Atom]()
    found = list[Read]()
    for position in data:
        here = set[Atom]()
        for axis, dim in enumerate(rule.operands[position] or ()):
            # The rule's own spaces: what they have become may also stand on an axis that passes by.
            read = (leaf for leaf in leaves(dim) if leaf in summed)
            atoms = dict.fromkeys(atom for leaf in read for atom in atoms_of(coupling.norm(leaf)))
            fresh = tuple(atom for atom in atoms if atom in prunable and atom not in seen)
            if fresh:
                found.append(Read(position, axis, fresh))
                here.update(fresh)
        seen |= here
    return tuple(found)


def _prunable(coupling: Coupling) -> frozenset[Atom]:
    made: frozenset[Atom] = coupling.graph.memo(
        "prunable atoms",
        lambda _: frozenset(group.atom for group in coupling.prunable if group.atom is not None),
    )
    return made
