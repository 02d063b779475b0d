"""Numbers that a forward computes from a width and that change with it, made good in the weights in front.

Attention without a written scale divides by the root of the head width, and so do layers that divide by
``x.size(-1) ** 0.5``. After a cut the number is another one. Where the operation is the same as with one operand
multiplied by a factor, and a layer makes that operand, the factor goes into the layer's own weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ...ir import Array, Graph, Node, Param, call_of, is_float, registry

_SCALED = frozenset(("weight", "bias", "scale", "shift"))
_EXACT = 1e-9
_POWERS = (1.0, -1.0, 0.5, -0.5)


def absorbed(want: Graph, got: Graph) -> Graph | None:
    """``want`` with the numbers of ``got``, its outputs kept by other weights; None where that cannot be.

    Args:
        want: the cut graph.
        got: what the module with these weights computes; nothing but such numbers may differ.
    """
    if len(want.nodes) != len(got.nodes):
        return None
    scaled: dict[str, float] = {}
    nodes, params = list(want.nodes), dict(want.params)
    for at, (one, other) in enumerate(zip(want.nodes, got.nodes, strict=True)):
        attrs, numbers = _numbers(want, got, one, other)
        if not attrs and not numbers:
            continue
        nodes[at] = replace(one, attrs={**one.attrs, **attrs})
        params.update(numbers)
        new = replace(want, nodes=tuple(nodes), params=params)
        if not _pushed(want, new, nodes[at], scaled):
            return None
    if not scaled:
        return None
    return replace(
        want, nodes=tuple(nodes), params={**params, **{n: _times(params[n], f) for n, f in scaled.items()}}
    )


def _numbers(want: Graph, got: Graph, one: Node, other: Node) -> tuple[dict[str, Any], dict[str, Param]]:
    """Numbers among attributes and constant operands that ``other`` has and ``one`` lacks."""
    if one.op != other.op or len(one.inputs) != len(other.inputs):
        return {}, {}
    attrs = {
        name: other.attrs[name]
        for name, value in one.attrs.items()
        if isinstance(value, float)
        and isinstance(other.attrs.get(name), float)
        and value != other.attrs[name]
    }
    params: dict[str, Param] = {}
    for name, found in zip(one.inputs, other.inputs, strict=True):
        mine, theirs = want.params.get(str(name)), got.params.get(str(found))
        if mine is None or theirs is None or mine.trained or theirs.trained or mine.shape != theirs.shape:
            continue
        if (
            mine.is_float
            and len(want.readers[mine.name]) == 1
            and not np.array_equal(mine.read(), theirs.read())
        ):
            params[mine.name] = replace(mine, source=theirs.source)
    return attrs, params


def _pushed(want: Graph, new: Graph, node: Node, scaled: dict[str, float]) -> bool:
    """Whether one operand of ``node`` times a factor makes good what its numbers changed, and a layer takes it."""
    before = next(each for each in want.nodes if each.name == node.name)
    operands = _drawn(want, before)
    wanted = _run(want, before, operands)
    given = _drawn(new, node)
    for position, name in enumerate(node.inputs):
        if name is None or name in want.params or not is_float(want.tensor(name).dtype):
            continue
        for factor in _factors(want, new, before, node):
            changed = tuple(
                array if array is None or i != position else array * factor for i, array in enumerate(given)
            )
            if _equal(_run(new, node, changed), wanted) and _into(want, str(name), node, factor, scaled):
                return True
    return False


def _factors(want: Graph, new: Graph, before: Node, after: Node) -> Iterator[float]:
    """What the numbers may have changed by: their ratio, its root, and the inverses."""
    pairs = [(value, after.attrs[name]) for name, value in before.attrs.items() if value != after.attrs[name]]
    for name in (str(read) for read in before.inputs):
        if name in want.params and want.params[name].source is not new.params[name].source:
            olds, news = want.params[name].read(), new.params[name].read()
            with np.errstate(all="ignore"):
                pairs += [
                    (float(old), float(one)) for old, one in zip(olds.flat[:1], news.flat[:1], strict=True)
                ]
    for old, one in pairs:
        if old * one > 0:
            for power in _POWERS:
                yield float((old / one) ** power)


def _into(graph: Graph, name: str, reader: Node, factor: float, scaled: dict[str, float]) -> bool:
    """Whether the value ``name``, which nobody but ``reader`` reads, can be made ``factor`` times as large."""
    while True:
        maker = graph.producers.get(name)
        alone = {node.name for node, _ in graph.readers.get(name, ())} == {reader.name}
        if maker is None or not alone or name in graph.outputs or len([n for n in maker.outputs if n]) != 1:
            return False
        weights = _weights(graph, maker)
        if weights:
            return _scale(graph, maker, weights, factor, scaled)
        through = [i for i, read in enumerate(maker.inputs) if read in graph.values]
        if len(through) != 1 or not _passes(graph, maker, set(through), factor):
            return False
        name, reader = str(maker.inputs[through[0]]), maker


def _weights(graph: Graph, node: Node) -> dict[int, str]:
    """Positions and names of the trained numbers that a layer weighs or shifts with."""
    op = registry()[node.op]
    return {
        i: name
        for i, name in enumerate(map(str, node.inputs))
        if name in graph.params and graph.params[name].trained and op.operand(i) in _SCALED
    }


def _scale(
    graph: Graph, node: Node, weights: Mapping[int, str], factor: float, scaled: dict[str, float]
) -> bool:
    own = all(len(graph.readers[name]) == 1 and graph.params[name].is_float for name in weights.values())
    if (
        not own
        or any(name in scaled for name in weights.values())
        or not _passes(graph, node, set(weights), factor)
    ):
        return False
    scaled.update(dict.fromkeys(weights.values(), factor))
    return True


def _passes(graph: Graph, node: Node, positions: set[int], factor: float) -> bool:
    """Whether operands ``factor`` times as large make the result so."""
    operands = _drawn(graph, node)
    larger = tuple(
        array * factor if array is not None and i in positions else array for i, array in enumerate(operands)
    )
    once, more = _run(graph, node, operands), _run(graph, node, larger)
    return _equal(more, tuple(array * factor for array in once))


def _drawn(graph: Graph, node: Node) -> tuple[Array | None, ...]:
    """Operands of a node: constants as they are, everything else at random."""
    rng = np.random.default_rng(0)

    def drawn(name: str) -> Array:
        tensor = graph.tensor(name)
        if isinstance(tensor, Param) and not (tensor.trained and tensor.is_float):
            data = tensor.read()
            return data.astype(np.float64) if tensor.is_float else data
        if isinstance(tensor, Param):
            return np.asarray(rng.uniform(0.5, 1.5, tensor.shape))  # variances are positive
        if is_float(tensor.dtype):
            return np.asarray(rng.normal(size=tensor.shape))
        return np.zeros(tensor.shape, dtype=tensor.dtype)

    return tuple(None if name is None else drawn(name) for name in node.inputs)


def _run(graph: Graph, node: Node, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
    """The results; none where the operator cannot be evaluated on what was drawn."""
    with np.errstate(all="ignore"), suppress(Exception):
        return registry()[node.op].run(call_of(graph, node), operands)
    return ()


def _equal(some: tuple[Array, ...], others: tuple[Array, ...]) -> bool:
    pairs = list(zip(some, others, strict=False))
    return len(some) == len(others) > 0 and all(_close(one, other) for one, other in pairs)


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape or not (np.all(np.isfinite(one)) and np.all(np.isfinite(other))):
        return False
    return bool(np.allclose(one, other, rtol=_EXACT, atol=_EXACT * float(np.max(np.abs(other), initial=0.0))))


def _times(param: Param, factor: float) -> Param:
    return replace(param, source=lambda: np.asarray(param.read() * factor))
