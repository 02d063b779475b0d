"""Scale relations of one operator: factors on operands that come out as factors on results.

They are found by evaluation, on operands drawn at random in several magnitudes, so that no operator is named.
A linear layer allows two: its input and its bias times a number, or its weight and its bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from math import log

import numpy as np

from ...ir import Array, Graph, Node, Param, call_of, is_float, registry, rule_of

Scales = Mapping[str, float]
"""Logarithms of factors by the name of the tensor; what is not named stays as it is."""

# A bound that some operator keeps (a clip at 6) shows at one of these; each but the first is no power of ten.
_MAGNITUDES = (1.0, 3e-4, 2e4)
_STEP = 1.7
_DEGREES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
_POWERS = (1.0, -1.0, 0.5, -0.5)
_EXACT = 1e-9
# Operands of which every combination is tried.
_JOINT = 4


@dataclass(frozen=True)
class Relation:
    """Factors that one node allows: ``offset`` and any combination of ``directions``.

    Attributes:
        offset: factors that make good numbers of the node that have changed.
        ends: whether parameters of the node alone scale its results.
    """

    directions: tuple[Scales, ...] = ()
    offset: Scales | None = None
    ends: bool = False

    def names(self) -> dict[str, None]:
        """The tensors that may be scaled."""
        return dict.fromkeys(name for each in (self.offset or {}, *self.directions) for name in each)


def relation(graph: Graph, node: Node, free: Sequence[str], entered: frozenset[str]) -> Relation:
    """The relation between factors on ``free`` operands and results of ``node``.

    A layer whose own parameters scale its results ends the way: its data stays as it is. Where its data is
    scaled already (``entered``) its parameters may undo that.
    """
    unread = _unread(graph, node)
    unseen = tuple({name: 1.0} for name in dict.fromkeys(free) if name in unread)
    free = [name for name in free if name not in unread]
    if not free:
        return Relation(unseen)
    probe = _Probe(graph, node)
    own = _directions(probe, [name for name in free if name in graph.params])
    if not own:
        return Relation((*unseen, *_directions(probe, free)))
    data = [name for name in free if name in graph.params or name in entered]
    passed = _directions(probe, data) if entered.intersection(free) else []
    undone = [found for each in passed for found in [_without_results(each, own[0], node)] if found]
    return Relation((*unseen, *own, *undone), ends=True)


def _unread(graph: Graph, node: Node) -> frozenset[str]:
    """Operands of which a node reads the shape alone."""
    pairs = list(zip(node.inputs, rule_of(graph, node).operands, strict=True))
    return frozenset(str(name) for name, _ in pairs) - {str(name) for name, dims in pairs if dims is not None}


def compensation(want: Graph, new: Graph, before: Node, after: Node, free: Iterable[str]) -> Relation | None:
    """Factors on single operands of ``after`` that make its results those of ``before``; None: there are none."""
    wanted, given = _Probe(want, before), _Probe(new, after)
    found: list[Scales] = []
    for name in free:
        for factor in _factors(want, new, before, after):
            if given.makes({name: factor}, wanted):
                found.append({name: log(factor)})
                break
    if not found:
        return None
    return Relation(tuple(_minus(each, found[0]) for each in found[1:]), found[0])


def _factors(want: Graph, new: Graph, before: Node, after: Node) -> Iterator[float]:
    """Candidate factors between changed numbers: their ratio, its root, and the inverses."""
    pairs = [(value, after.attrs[name]) for name, value in before.attrs.items() if value != after.attrs[name]]
    for name in (str(read) for read in before.inputs):
        if name in want.params and want.params[name].source is not new.params[name].source:
            olds, news = want.params[name].read(), new.params[name].read()
            pairs += [(float(old), float(one)) for old, one in zip(olds.flat[:1], news.flat[:1], strict=True)]
    for old, one in pairs:
        if np.isfinite(old * one) and old * one > 0:
            yield from (float((old / one) ** power) for power in _POWERS)


def _directions(probe: _Probe, names: Sequence[str]) -> list[Scales]:
    """The least sets of operands that scale all results; larger ones are combinations of them."""
    found: dict[frozenset[str], Scales] = {}
    for subset in _subsets(names):
        if not any(each.issubset(subset) for each in found):
            degrees = probe.degrees(subset)
            if degrees is not None:
                found[frozenset(subset)] = {**dict.fromkeys(subset, 1.0), **degrees}
    return list(found.values())


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    names = tuple(dict.fromkeys(names))
    most = len(names) if len(names) <= _JOINT else 1
    for count in range(1, most + 1):
        yield from combinations(names, count)
    if most < len(names):
        yield names


def _minus(one: Scales, other: Scales, times: float = 1.0) -> Scales:
    row = {name: one.get(name, 0.0) - times * other.get(name, 0.0) for name in {**one, **other}}
    return {name: value for name, value in row.items() if value}


def _without_results(passed: Scales, own: Scales, node: Node) -> Scales | None:
    """Factors on data that parameters undo; None where that leaves a factor on some result."""
    made = next((name for name in node.outputs if own.get(name)), "")
    row = _minus(passed, own, passed.get(made, 0.0) / own[made]) if made else passed
    return None if row.keys() & set(node.outputs) else row


class _Probe:
    """One node, evaluated on operands drawn at random; constants are as they are."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._graph, self._node = graph, node
        self._op, self._call = registry()[node.op], call_of(graph, node)
        self._draws = [self._drawn(magnitude, 2) for magnitude in _MAGNITUDES]
        if not self._run(self._draws[0], {}):  # an index of 1 may be one too many
            self._draws = [self._drawn(magnitude, 1) for magnitude in _MAGNITUDES]
        self.results = [] if self._op.random(node.attrs) else [self._run(draw, {}) for draw in self._draws]

    def degrees(self, names: Iterable[str]) -> Scales | None:
        """The powers that results are multiplied by where these operands are times a number.

        None where they are not multiplied, where a floating point result does not depend on the operands, or
        where that cannot be seen.
        """
        factors, found = dict.fromkeys(names, _STEP), dict[str, float]()
        for draw, once in zip(self._draws, self.results, strict=False):
            more = self._run(draw, factors)
            for name, one, other in zip(self._node.outputs, once, more, strict=False):
                degree = _degree(one, other)
                if degree is None or (name and found.setdefault(name, degree) != degree):
                    return None
            if not more or len(more) != len(once):
                return None
        return {name: degree for name, degree in found.items() if degree} if self.results else None

    def makes(self, factors: Mapping[str, float], wanted: _Probe) -> bool:
        """Return whether the results with these factors are those of another probe."""
        pairs = zip(self._draws, wanted.results, strict=False)
        return bool(self.results and wanted.results) and all(
            _equal(self._run(draw, factors), once) for draw, once in pairs
        )

    def _run(self, draw: Mapping[str, Array], factors: Mapping[str, float]) -> tuple[Array, ...]:
        """The results; none where the operator cannot be evaluated on what was drawn."""
        scaled = {name: array * factors[name] if name in factors else array for name, array in draw.items()}
        operands = tuple(None if name is None else scaled[name] for name in self._node.inputs)
        with np.errstate(all="ignore"), suppress(Exception):
            return self._op.run(self._call, operands)[: len(self._node.outputs)]
        return ()

    def _drawn(self, magnitude: float, below: int) -> dict[str, Array]:
        rng = np.random.default_rng(0)

        def drawn(name: str) -> Array:
            tensor = self._graph.tensor(name)
            if isinstance(tensor, Param) and not (tensor.trained and tensor.is_float):
                data = tensor.read()
                return data.astype(np.float64) if tensor.is_float else data
            if isinstance(tensor, Param):
                return np.asarray(rng.uniform(0.5, 1.5, tensor.shape))  # variances are positive
            if is_float(tensor.dtype):
                return np.asarray(rng.normal(size=tensor.shape) * magnitude)
            return rng.integers(0, below if tensor.dtype != "bool" else 2, tensor.shape).astype(tensor.dtype)

        return {name: drawn(name) for name in dict.fromkeys(filter(None, self._node.inputs))}


def _degree(one: Array, other: Array) -> float | None:
    """The power that ``other`` is ``one`` multiplied by; 0 for equal whole numbers and truth values."""
    if np.asarray(one).dtype.kind != "f":
        return 0.0 if np.array_equal(one, other) else None
    if not np.any(one):
        return None
    return next((degree for degree in _DEGREES if _close(other, one * _STEP**degree)), None)


def _equal(some: tuple[Array, ...], others: tuple[Array, ...]) -> bool:
    pairs = list(zip(some, others, strict=False))
    return len(some) == len(others) > 0 and all(_close(one, other) for one, other in pairs)


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape or not (np.all(np.isfinite(one)) and np.all(np.isfinite(other))):
        return False
    return bool(np.allclose(one, other, rtol=_EXACT, atol=_EXACT * float(np.max(np.abs(other), initial=0.0))))
