"""Weights that training has changed: read back into the graph, and kept for a run that goes on later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..hosts import Session, open_model
from ..ir import Array, Graph, Param, UsageError
from ..measure import Journal

_ADVICE = "tune changes weights and nothing else: layers, their names and their sizes stay"


def read_weights(session: Session, model: Any, inputs: Any, graph: Graph) -> dict[str, Array]:
    """Data of every trained param of ``graph`` as ``model`` holds it now.

    Raises:
        UsageError: the model is no longer the one that ``graph`` describes.
    """
    form = session.form if session.form in ("module", "graph") else "module"
    now = open_model(model, inputs, form=form).graph
    if [node.op for node in now.nodes] != [node.op for node in graph.nodes]:
        raise UsageError("tune left a network of other operations", where=graph.name, advice=_ADVICE)
    found: dict[str, Array] = {}
    for name, param in graph.params.items():
        if not param.trained:
            continue
        if name not in now.params or now.params[name].shape != param.shape:
            raise UsageError(f"tune left no '{name}' of its shape {param.shape}", advice=_ADVICE)
        found[name] = np.array(now.params[name].read())
        if param.is_float and not np.all(np.isfinite(found[name])):
            raise UsageError(
                f"tune left numbers in '{name}' that are not finite", advice="lower its learning rate"
            )
    return found


def with_weights(graph: Graph, weights: Mapping[str, Array]) -> Graph:
    """``graph`` with other data in these params."""
    params = {
        name: _holding(param, weights[name]) if name in weights else param
        for name, param in graph.params.items()
    }
    return replace(graph, params=params)


def _holding(param: Param, data: Array) -> Param:
    return replace(param, source=lambda: data)


def digest(graph: Graph) -> str:
    """A hash over the operations and the data of a graph."""
    made = hashlib.sha256(" ".join(node.op for node in graph.nodes).encode())
    for name in sorted(graph.params):
        if graph.params[name].trained:
            data = np.ascontiguousarray(graph.params[name].read())
            made.update(f"{name} {data.shape} {data.dtype}".encode())
            made.update(data.tobytes())
    return made.hexdigest()[:24]


class Store:
    """A folder of what cost training time: figures as JSON lines, weights as a file each.

    Each is on disk before the next is begun, and appears whole or not at all.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open the folder, or make it.

        Raises:
            UsageError: it cannot be made.
        """
        self._journal = Journal(folder, "rounds.jsonl")
        self._folder = Path(folder)

    def figure(self, key: str) -> float | None:
        """The figure kept under ``key``."""
        found = self._journal.get(key)
        return None if found is None else found[0]

    def keep_figure(self, key: str, value: float) -> None:
        """Keep a number."""
        self._journal.put(key, (value,))

    def weights(self, key: str) -> dict[str, Array] | None:
        """The weights that were kept under ``key``.

        Raises:
            UsageError: the file is damaged.
        """
        file = self._file(key)
        if not file.exists():
            return None
        try:
            with np.load(file, allow_pickle=False) as stored:
                return {str(name): stored[f"w{at}"] for at, name in enumerate(stored["names"])}
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"the weights of a round cannot be read: {error}", where=str(file), advice="delete the file"
            ) from error

    def keep_weights(self, key: str, weights: Mapping[str, Array]) -> None:
        """Keep arrays by name."""
        target = self._file(key)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        arrays = {f"w{at}": data for at, data in enumerate(weights.values())}
        try:
            with beside.open("wb") as file:
                np.savez(file, names=np.array(list(weights), dtype=np.str_), **arrays)  # type: ignore[arg-type]
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npz"
