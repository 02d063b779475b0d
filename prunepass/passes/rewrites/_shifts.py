"""Amounts that params take, as each operand that reads a param needs them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...ir import Graph
from ._deficit import Deficit, stored

Amounts = dict[str, tuple[float, ...]]


@dataclass
class Shifts:
    """Deficits that params absorb, by param and by the operand that reads it."""

    _given: dict[str, dict[str, Deficit]] = field(default_factory=dict)

    def give(self, param: str, reader: str, deficit: Deficit) -> None:
        """Add a deficit to what ``reader``, ``node:operand``, needs of ``param``."""
        given = self._given.setdefault(param, {})
        given[reader] = given[reader] + deficit if reader in given else deficit

    def settled(self, graph: Graph) -> tuple[Amounts, dict[str, list[Deficit]]]:
        """Amounts by param where all of its readers need the same, and the deficits of the other params."""
        amounts, disputed = Amounts(), dict[str, list[Deficit]]()
        for name, given in self._given.items():
            needed = [deficit.amount for deficit in given.values()]
            readers = {f"{node.name}:{at}" for node, at in graph.readers[name]}
            agree = all(np.allclose(amount, needed[0], rtol=1e-6, atol=1e-12) for amount in needed)
            if readers != set(given) or not agree or not np.all(np.isfinite(needed[0])):
                disputed[name] = list(given.values())
            elif np.any(needed[0]):
                amounts[name] = stored(needed[0], graph, name)
        return amounts, disputed
