"""A weighted sum together with the normalisation behind it.

A normalisation with trained statistics knows the variance of what it reads, correlations and all, better than
any estimate from weights. Its slope drawn into the weights in front, errors there are measured in its units.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ir import Array, Call, Graph, Node, Op, Sampler, call_of, registry
from ._moments import Sampled, variance_of
from ._shift import along


def normalised(graph: Graph, met: Sampled) -> tuple[Sampled, float] | None:
    """The consumer with the normalisation behind it drawn into its weights, and the variance that follows.

    None where the result is read by anything else, or the axes of the weights are not those of the result.
    """
    step = met.step
    readers = graph.readers.get(step.node.outputs[0], ())
    if len(readers) != 1 or step.node.outputs[0] in graph.outputs or len(step.data) != 1:
        return None
    found = _gain(graph, *readers[0])
    if found is None:
        return None
    gain, variance = found
    for position, array in enumerate(step.static):
        dims = step.rule.operands[position]
        if array is None or dims is None or position == step.op.shift_out:
            continue
        factor = along(gain, step.rule.results[0], dims)
        if factor is not None:
            static = (*step.static[:position], array * factor, *step.static[position + 1 :])
            return replace(met, step=replace(step, static=static)), variance
    return None


def _gain(graph: Graph, node: Node, position: int) -> tuple[Array, float] | None:
    """Slope of a node that fixes its result's distribution whatever it reads, and its summed variance."""
    op, call = registry()[node.op], call_of(graph, node)
    at = op.position("var")
    arrays = tuple(None if name is None else _param(graph, name) for name in node.inputs)
    absent = [i for i, array in enumerate(arrays) if array is None and call.has(i)]
    if at is None or at >= len(arrays) or arrays[at] is None or absent != [position]:
        return None
    samples = op.flow.moments(op, call, tuple(None if a is None else a[None] for a in arrays), Sampler())[0]
    if samples is None:
        return None
    variance = np.broadcast_to(variance_of(samples), call.results[0])
    return _slope(op, call, position, arrays), float(variance.sum())


def _param(graph: Graph, name: str) -> Array | None:
    param = graph.params.get(name)
    return None if param is None else param.read().astype(np.float64)


def _slope(op: Op, call: Call, position: int, arrays: tuple[Array | None, ...]) -> Array:
    """The operator's magnitude for ones when nothing shifts."""
    shifts = {op.position("shift"), op.position("mean")}
    still = [np.zeros_like(a) if a is not None and i in shifts else a for i, a in enumerate(arrays)]
    still[position] = np.ones(call.shape(position))
    return np.asarray(op.flow.magnitude(op, call, tuple(still))[0])
