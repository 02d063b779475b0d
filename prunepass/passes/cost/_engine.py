"""Parts of an engine's time: work by kind, bytes of weights, bytes of data, the start of an inference."""

from __future__ import annotations

from collections.abc import Iterator

from ..coupling import Coupling
from ._cost import BYTES
from ._kinds import MOVED, codes_of, codes_read, kind_of, live_nodes
from ._polynomial import Polynomial, Sizes, Term, merged

START, WEIGHTS = "start", "weights"


def engine_cost(coupling: Coupling, grain: int, skip: frozenset[str] = frozenset()) -> dict[str, Polynomial]:
    """The features of an engine's time, to be weighted by a fit.

    Multiply-accumulates by kind of work with sizes rounded up to ``grain``, bytes of weights, bytes of data
    read and written. What is the same at all widths (starting, dispatching) is a feature of its own.

    Args:
        skip: names of nodes whose time is known otherwise.
    """
    found: dict[str, list[Term]] = {}
    for feature, term in _terms(coupling, grain, skip):
        found.setdefault(feature, []).append(term)
    return {feature: merged(terms) for feature, terms in found.items()}


def _terms(coupling: Coupling, grain: int, skip: frozenset[str]) -> Iterator[tuple[str, Term]]:
    sizes = Sizes(coupling)
    yield START, Term(1.0, ())
    for node, rule in live_nodes(coupling):
        if node.name in skip:
            continue
        kind = kind_of(coupling, node)
        for product in rule.work if kind != MOVED else ():
            factor, varying = sizes.split(coupling.norm(dim) for dim in product)
            yield kind, Term(factor, varying, grain)
        codes = codes_read(coupling.graph, node)
        names = dict.fromkeys(name for name in (*node.inputs, *node.outputs) if name is not None)
        for name in names:
            weight = name in coupling.graph.params or name in coupling.static
            # What stands for codes is never written out by an engine that computes with them.
            coded = codes.get(name) if weight else codes_of(coupling.graph, name)
            factor, varying = sizes.split(coupling.dims[name])
            count = BYTES.get(coupling.graph.tensor(coded or name).dtype, 4)
            yield (WEIGHTS if weight else MOVED), Term(factor * count, varying)
