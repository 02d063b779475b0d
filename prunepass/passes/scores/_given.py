"""Channels of outputs that may be cut: whoever uses the model reads them, each for itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...ir import Array, Atom, atoms_of
from ..coupling import Coupling
from ._protocol import per_index


def given_by_atom(coupling: Coupling, name: str, entries: Array) -> Iterator[tuple[Atom, Array]]:
    """Contributions of channels to the freed output called ``name``, by atom; nothing for another value.

    Args:
        entries: what each entry counts for.
    """
    if name not in coupling.graph.freed:
        return
    whole = np.broadcast_to(np.asarray(entries, np.float64), coupling.graph.tensor(name).shape)
    for axis, dim in enumerate(coupling.dims[name]):
        for atom in dict.fromkeys(atoms_of(dim)):
            yield atom, per_index(whole, axis, dim, atom)
