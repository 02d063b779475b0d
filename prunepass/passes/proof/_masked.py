"""Check that a graph of the original's size computes what the masked original computes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir import Array, Graph, UnsupportedError, gather, walk
from .._plan import Plan, left_inexact
from ..coupling import couple, kept_axes
from ._difference import relative_error
from ._proof import TOLERANCE, masked_values, random_inputs

_ADVICE = "cut instead: pp.apply(plan, model, ...) computes what the masked model computes"


def check_masked(graph: Graph, plan: Plan, whole: Graph, given: Mapping[str, Array] | None = None) -> None:
    """Hold the outputs of ``whole`` against those of ``graph`` with what ``plan`` cuts masked, in float64.

    Args:
        given: inputs beside random ones.

    Raises:
        UnsupportedError: an output differs, since weights alone cannot mask; says why.
    """
    coupling = couple(graph)
    kept, names = plan.kept(coupling), frozenset(graph.outputs)
    for feeds in (random_inputs(graph), *([given] if given is not None else [])):
        got = {name: array for name, array in walk(whole, feeds, keep_all=False) if name in names}
        for name, want in masked_values(graph, plan, feeds):
            if name in names:
                left = kept_axes(coupling, kept, name)
                error = relative_error(gather(got[name], left), gather(want, left))
                if not error <= TOLERANCE or np.isnan(error):
                    raise _refused(graph, plan, name)


def _refused(graph: Graph, plan: Plan, name: str) -> UnsupportedError:
    left = left_inexact(couple(graph), plan)
    group, why = next(((group, reasons[0]) for group, reasons in left.items() if reasons), ("", ""))
    what = f"group '{group}': {why}" if group else f"output '{name}' would differ"
    return UnsupportedError(f"weights alone cannot mask the channels of this plan: {what}", advice=_ADVICE)
