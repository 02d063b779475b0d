"""The weights of a fine-tuned model, put back into the graph that it was cut from.

What was kept takes the tuned values, what was cut keeps its own. The cut of that graph is the tuned model, so the
proof of a cut is the proof of a cut that was tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import numpy as np

from ...ir import Array, Graph, Param, VerificationError
from .._plan import Plan
from ..analyses import grid_of
from ..coupling import couple, kept_axes, narrowed

_ADVICE = "weights may be tuned, names, shapes, types and what is computed may not change"


def with_tuned(graph: Graph, plan: Plan, tuned: Graph) -> tuple[Graph, Plan]:
    """``graph`` with the weights of ``tuned`` where they were kept, and the plan that cuts it to that.

    Args:
        graph: the original, with the constraints of ``plan``.
        tuned: the pruned model as captured after training.

    Raises:
        VerificationError: a weight is missing, has another shape or type, or there is one more.
    """
    coupling = couple(graph)
    kept, own = plan.kept(coupling), plan.shifted(graph)
    small = narrowed(coupling, kept, own)
    found = _matched(small, tuned)
    params = dict(graph.params)
    for name, data in found.items():
        if name in coupling.indexed:
            _refuse_other(small.params[name], data)
            continue
        whole = np.array(own.get(name, graph.params[name].read()))
        whole[grid_of(whole.shape, kept_axes(coupling, kept, name))] = data
        params[name] = _with_data(graph.params[name], whole)
    return replace(graph, params=params), msgspec.structs.replace(plan, shifts={}, tensors={})


def _with_data(param: Param, data: Array) -> Param:
    return replace(param, source=lambda: data)


def _matched(small: Graph, tuned: Graph) -> Mapping[str, Array]:
    """Data of the tuned model by the name of each trained param of the cut graph."""
    places = _places(small, tuned)
    found, met = dict[str, Array](), set[str]()
    for name, param in small.params.items():
        if param.trained:
            other = _checked(param, tuned.params.get(name) or places.get(name))
            found[name] = other.read()
            met.add(other.name)
    for param in tuned.params.values():
        if param.trained and param.name not in met:
            raise VerificationError(
                f"the tuned model has a weight '{param.name}' that the pruned one has not",
                where=small.name,
                advice=_ADVICE,
            )
    return found


def _places(small: Graph, tuned: Graph) -> dict[str, Param]:
    """Params of the tuned model by the name of what is read there in the cut graph; a host may name parts anew."""
    if [node.op for node in small.nodes] != [node.op for node in tuned.nodes]:
        return {}
    return {
        name: tuned.params[other]
        for node, there in zip(small.nodes, tuned.nodes, strict=True)
        for name, other in zip(node.inputs, there.inputs, strict=False)
        if name is not None and other is not None and name in small.params and other in tuned.params
    }


def _checked(param: Param, other: Param | None) -> Param:
    if other is None:
        what = "is not in the tuned model"
    elif other.shape != param.shape:
        what = f"has shape {other.shape}, the plan leaves {param.shape}"
    elif other.dtype != param.dtype:
        what = f"has type {other.dtype}, the original's is {param.dtype}"
    else:
        return other
    raise VerificationError(f"weight '{param.name}' {what}", where=param.name, advice=_ADVICE)


def _refuse_other(param: Param, data: Array) -> None:
    """Entries that are positions of channels are no weights."""
    if not np.array_equal(param.read(), data):
        raise VerificationError(f"'{param.name}' names other channels", where=param.name, advice=_ADVICE)
