"""Intercept slots of fitted sums, and the residual sums that they are the last branch of.

Both follow the one reader of a result, through what maps it entry by entry with a slope of its own (a normalisation
with fixed statistics, an identity, a scale, an addition of params) or moves its entries about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Call, Graph, Node, Rule, call_of, cast, registry, rule_of
from ..analyses import added, data_slots, exchange, fit, is_linear, response
from ..coupling import Step
from ._deficit import exactly

Read = Callable[[str], Array]
Live = Callable[[str], bool]
_STEEP = 1e-3
_FAR = 8


@dataclass(frozen=True)
class Reader:
    """The one reader of a value."""

    step: Step
    position: int

    @property
    def others(self) -> tuple[int, ...]:
        """Further operands that depend on the inputs."""
        return tuple(at for at in self.step.data if at != self.position)


def step_of(graph: Graph, node: Node, live: Live, read: Read) -> Step:
    """``node`` as the analyses see it; ``live`` tells what depends on the inputs."""
    data = tuple(at for at, name in enumerate(node.inputs) if name is not None and live(name))
    static = tuple(
        None if name is None or at in data else cast(read(name), "float64") if name in graph.params else None
        for at, name in enumerate(node.inputs)
    )
    return Step(node, registry()[node.op], call_of(graph, node), rule_of(graph, node), static, data, ())


@dataclass(frozen=True)
class Follower:
    """Follows values of one graph to their readers.

    Attributes:
        graph: as captured, cut.
        live: whether a value depends on the inputs.
        read: data of a param as it is now.
    """

    graph: Graph
    live: Live
    read: Read

    def step(self, node: Node) -> Step:
        return step_of(self.graph, node, self.live, self.read)

    def reader(self, name: str) -> Reader | None:
        """The one reader of a value; None where several read it, or it comes out."""
        readers = self.graph.readers.get(name, ())
        if len(readers) != 1 or name in self.graph.outputs:
            return None
        node, position = readers[0]
        step = self.step(node)
        known = all(
            step.static[at] is not None or at in step.data or not step.call.has(at)
            for at in range(len(step.call.shapes))
        )
        return Reader(step, position) if known else None

    def along(self, name: str) -> Iterator[Reader]:
        """Readers one after the other, as long as each maps entries one by one; the last one does not."""
        for _ in range(_FAR):
            found = self.reader(name)
            if found is None:
                return
            yield found
            if not (is_slope(self.graph, found) or is_move(found)):
                return
            name = found.step.node.outputs[0]

    def param(self, step: Step, slot: int) -> str | None:
        """A trained float param that nothing else reads, at an operand."""
        name = step.node.inputs[slot] if slot < len(step.node.inputs) else None
        found = self.graph.params.get(name) if name is not None else None
        alone = found is not None and found.trained and found.is_float
        return name if alone and len(self.graph.readers.get(str(name), ())) == 1 else None


def is_slope(graph: Graph, read: Reader) -> bool:
    """Return whether each entry of the result is that of the operand times a number, plus a number."""
    rule, step = read.step.rule, read.step
    dims = rule.operands[read.position]
    if read.others or dims is None or not rule.results or rule.contracted or _compares(rule):
        return False
    same = len(dims) == len(rule.results[0]) and all(
        one is two or one.size == two.size == 1 for one, two in zip(dims, rule.results[0], strict=True)
    )
    return same and is_linear(graph, step, read.position)


def _compares(rule: Rule) -> bool:
    return bool(rule.statistics or rule.centred or rule.mixed)


def is_move(read: Reader) -> bool:
    """Return whether all entries of the operand change place and nothing else."""
    call = read.step.call
    moves = read.step.op.flow.moves and not read.others
    return moves and np.prod(call.shape(read.position)) == np.prod(call.results[0])


def _run(read: Reader, array: Array, call: Call | None = None) -> Array:
    call = read.step.call if call is None else call
    whole = np.broadcast_to(array, call.shape(read.position))
    operands = (*read.step.static[: read.position], whole, *read.step.static[read.position + 1 :])
    with np.errstate(all="ignore"):
        return np.asarray(read.step.op.run(call, operands)[0])


def slope(read: Reader) -> Array:
    """The number that each entry is multiplied by; an axis along which it is the same has size 1."""
    gain = _run(read, np.ones(1)) - _run(read, np.zeros(1))
    for axis in range(gain.ndim):
        first = gain.take([0], axis)
        gain = first if bool((gain == first).all()) else gain
    return gain


@dataclass(frozen=True)
class Slot:
    """A param that takes an amount of the result.

    Attributes:
        path: what stands between, in order.
        last: what reads the param, None where the node itself does.
        gain: what one unit of the amount is there.
    """

    param: str
    at: int
    step: Step
    path: tuple[Reader, ...]
    position: int | None
    gain: float

    def taken(self, amount: Array) -> Array | None:
        """The change of the param for an amount of the result; None where it cannot hold it."""
        for read in self.path:
            amount = _run(read, amount) - _run(read, np.zeros(1))
        rule = self.step.rule
        dims = rule.results[0] if self.position is None else rule.operands[self.position]
        slot = rule.operands[self.at]
        if dims is None or slot is None:
            return None
        found = fit(amount, dims, slot)
        return found * self.gain if found is not None and exactly(amount, dims, found, slot) else None


def slots(follower: Follower, node: Node, bias: int | None) -> Iterator[Slot]:
    """Params that can take the intercept of what ``node`` makes, the nearest first."""
    own = follower.step(node)
    if bias is not None and own.call.has(bias):
        param, gain = follower.param(own, bias), response(own, bias)
        if param is not None and gain:
            yield Slot(param, bias, own, (), None, 1 / gain)
    path: list[Reader] = []
    for read in follower.along(node.outputs[0]):
        if read.others:
            return
        for slot in data_slots(read.step, read.position):
            param = follower.param(read.step, slot)
            gain = exchange(read.step, read.position, slot) if param is not None else None
            if param is not None and gain:
                yield Slot(param, slot, read.step, tuple(path), read.position, gain)
        path.append(read)


@dataclass(frozen=True)
class Sum:
    """The sum that a result goes into.

    Attributes:
        path: what stands between, in order.
        other: the other operand.
        factor: of the other, where that of the result is 1.
    """

    path: tuple[Reader, ...]
    other: str
    factor: float

    def back(self, lack: Array, graph: Graph) -> Array:
        """Amount that the result must gain for the sum to gain ``lack``, in a graph of any number of samples."""
        named = {node.name: node for node in graph.nodes}
        for read in reversed(self.path):
            call = call_of(graph, named[read.step.node.name])
            lack = _moved_back(read, call, lack) if read.step.op.flow.moves else _unsloped(lack, slope(read))
        return lack


def _unsloped(lack: Array, gain: Array) -> Array:
    """A channel that next to nothing comes of is left alone."""
    flat = np.abs(gain) < _STEEP * np.max(np.abs(gain), initial=0)
    with np.errstate(all="ignore"):
        return np.asarray(lack * np.where(flat, 0, 1 / gain).astype(lack.dtype))


def _moved_back(read: Reader, call: Call, lack: Array) -> Array:
    shape = call.shape(read.position)
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    back = np.empty(lack.size, lack.dtype)
    back[_run(read, numbers, call).ravel()] = lack.ravel()
    return back.reshape(shape)


def sum_of(follower: Follower, name: str) -> Sum | None:
    """The sum of two values, one of which ``name`` becomes."""
    path: list[Reader] = []
    for read in follower.along(name):
        if read.others:
            here, there = added(read.step, read.position), None
            if len(read.others) == 1 and here:
                there = added(read.step, read.others[0])
            shapes = read.step.call
            if not there or not here or shapes.shape(read.position) != shapes.results[0]:
                return None
            return Sum(tuple(path), str(read.step.node.inputs[read.others[0]]), there / here)
        path.append(read)
    return None
