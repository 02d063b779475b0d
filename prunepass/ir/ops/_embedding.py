"""Embedding tables.

Rule: rows are looked up by index and stay; the width goes on to the result, behind the axes of the index.
"""

from __future__ import annotations

import numpy as np

from .._dims import atom, atoms
from .._graph import Array
from .._indexing import lookup
from .._moves import stays
from .._op import Aten, Call, Op, Rule


def _rule(call: Call) -> Rule:
    rows, width = call.shape(0)
    index, made = atoms(call.shape(1)), atom(width)
    return Rule(((stays(rows, "rows are looked up by index", call), made), index), ((*index, made),))


def _embedding(call: Call, weight: Array, index: Array) -> Array:
    return np.take(weight, index, axis=0)


ops = (
    Op(
        "embedding",
        ("weight", "index"),
        _rule,
        _embedding,
        lookup(lambda call: (0,)),
        (Aten(("embedding.default",), ("weight", "indices")),),
    ),
)
