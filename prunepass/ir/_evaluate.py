"""The reference interpreter: runs a graph in numpy, one declared evaluation after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ._call import call_of
from ._errors import PrunepassError, UnsupportedError, UsageError
from ._graph import Array, Graph, Node, Param, is_float
from ._op import Op
from ._registry import registry

Step = Callable[[Graph, Node, Op, "tuple[Array | None, ...]"], "tuple[Array, ...]"]


def evaluate(graph: Graph, inputs: Mapping[str, Array], *, dtype: str = "float64") -> dict[str, Array]:
    """Every value of ``graph`` for ``inputs`` (by input name), floats computed in ``dtype``.

    Raises:
        UsageError: an input is missing or has another shape.
        UnsupportedError: a node has neither a declaration nor an evaluation in its host.
    """
    return dict(walk(graph, inputs, dtype=dtype))


def walk(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    dtype: str = "float64",
    step: Step | None = None,
    params: Mapping[str, Array] | None = None,
    keep_all: bool = True,
) -> Iterator[tuple[str, Array]]:
    """Yield ``(name, array)`` for each value as it is made.

    Args:
        step: replaces the plain evaluation of a node (masking, counting).
        params: replaces the data of these params.
        keep_all: keep every array alive; otherwise arrays are dropped after their last reader.
    """
    run = step or plain_step
    made = dict(_checked_inputs(graph, inputs, dtype))
    yield from made.items()
    last = {} if keep_all else _last_reads(graph)
    replaced = params or {}

    def results(node: Node) -> dict[str, Array]:
        operands = tuple(
            None if name is None else _operand(graph, name, made, replaced, dtype) for name in node.inputs
        )
        arrays = run_step(run, graph, node, operands)
        return {name: cast(array, dtype) for name, array in zip(node.outputs, arrays, strict=False)}

    for at, node in enumerate(graph.nodes):
        made.update(results(node))
        for name in last.get(at, ()):
            made.pop(name, None)
        for name in node.outputs:
            if name in made:
                yield name, made[name]
                if not keep_all and name not in graph.outputs and name not in graph.readers:
                    del made[name]


def run_step(run: Step, graph: Graph, node: Node, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
    """The results of one node.

    Raises:
        UnsupportedError: it fails; names the node.
    """
    try:
        with np.errstate(all="ignore"):
            return run(graph, node, registry()[node.op], operands)
    except PrunepassError:
        raise
    except Exception as error:
        raise UnsupportedError(
            f"'{node.op}' could not be evaluated: {type(error).__name__}: {error}",
            where=f"{node.name} ({node.origin})",
            advice="report it with the model; keep its neighbours out of pruning meanwhile",
        ) from error


def plain_step(graph: Graph, node: Node, op: Op, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
    """Evaluate one node as declared."""
    return op.run(call_of(graph, node), operands)


def cast(array: Array, dtype: str) -> Array:
    """Floats in ``dtype``, everything else as it is."""
    array = np.asarray(array)
    return array.astype(dtype, copy=False) if is_float(array.dtype.name) else array


def _operand(
    graph: Graph, name: str, made: Mapping[str, Array], replaced: Mapping[str, Array], dtype: str
) -> Array:
    if name in made:
        return made[name]
    if name in replaced:
        return cast(replaced[name], dtype)
    tensor = graph.tensor(name)
    if not isinstance(tensor, Param):
        raise UnsupportedError(f"value '{name}' is read before it is made", where=graph.name)
    return cast(tensor.read(), dtype)


def _checked_inputs(graph: Graph, inputs: Mapping[str, Array], dtype: str) -> Iterator[tuple[str, Array]]:
    for name in graph.inputs:
        value = graph.values[name]
        if name not in inputs:
            raise UsageError(
                f"input '{name}' is missing", advice=f"the model reads {', '.join(graph.inputs)}"
            )
        array = np.asarray(inputs[name])
        if array.shape != value.shape:
            raise UsageError(f"input '{name}' has shape {array.shape}, the model reads {value.shape}")
        yield name, cast(array, dtype)


def _last_reads(graph: Graph) -> dict[int, list[str]]:
    last: dict[str, int] = {}
    for at, node in enumerate(graph.nodes):
        for name in node.inputs:
            if name in graph.values:
                last[name] = at  # type: ignore[index]
    found: dict[int, list[str]] = {}
    for name, at in last.items():
        if name not in graph.outputs:
            found.setdefault(at, []).append(name)
    return found
