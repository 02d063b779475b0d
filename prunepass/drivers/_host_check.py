"""The pruned model in its own host against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..hosts import Session
from ..ir import Array, BackendError, Graph, ModelError, VerificationError, walk
from ..passes import (
    largest_moves,
    makes_codes,
    number_difference,
    random_inputs,
    random_values,
    refuse_nan,
    relative_error,
    rounding_moves,
)

_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
# Of how far the reference moves by itself: by steps of codes, and by what operators round.
_MOVES, _ROUNDED = 4.0, 2.0
_ADVICE = (
    "give example inputs of the kind that the model is made for: on others an output may be next to nothing beside "
    "what it is made of; if it differs there too, keep the layers in front of it (keep=[...]) and report the model"
)

Pairs = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class HostCheck:
    """The pruned model in its own host against the reference: worst relative error of the outputs.

    Attributes:
        drawn: outputs that depend on random numbers; the host draws its own, so only shapes are compared.
    """

    worst: float
    tolerance: float
    drawn: tuple[str, ...] = ()


def check_runs(session: Session, model: Any) -> None:
    """Refuse a file that its own engine does not run as it is, before any work is done on it.

    Raises:
        ModelError: in the engine's words.
    """
    if session.form != "onnx":
        return  # what was traced has run
    try:
        run_once(session, model)
    except BackendError as error:
        raise ModelError(error.what, where=error.where, advice="it fails as it is, before any cut") from error


def run_once(session: Session, model: Any) -> None:
    """Run a model of the session's host on its inputs; raises as its ``run``."""
    outputs_of(session, model, session.graph)


def outputs_of(session: Session, model: Any, graph: Graph) -> list[Array]:
    """Outputs of a model of the session's host, cut as ``graph``, on the example inputs."""
    return session.run(model, _typed(graph, session.feeds() or random_inputs(graph)))


def host_check(session: Session, pruned: Any, small: Graph) -> HostCheck:
    """Run the pruned model in its own host and compare its outputs with the cut graph's reference.

    The tolerance is the rounding of the coarsest type that an output was made of times the number of nodes a
    rounding error passes. An output that is further off may be tiny beside what it was made of (behind a sigmoid, a
    difference of large numbers): there it is twice what rounding in every operator makes of the reference itself.
    Where the model turns numbers into codes, a last bit may decide on a whole step: there it is a few times what
    rounding makes of the reference.

    Raises:
        VerificationError: an output differs. ModelError: an output is NaN throughout.
    """
    typed = _typed(small, session.feeds() or random_inputs(small))
    made = dict(zip(small.outputs, session.run(pruned, typed), strict=True))
    at_once = _in_single(small, typed, made)
    if at_once is not None:
        return at_once
    pairs = _pairs(made, small, typed, "float64")
    for name, (_, want) in pairs.items():
        refuse_nan(small, name, want, examples=True)
    drawn = tuple(name for name in pairs if name in random_values(small))
    for name in drawn:
        got, want = pairs[name]
        _refuse(small, name, 0.0 if got.shape == want.shape else np.inf, 0.0)
    pairs = {name: pair for name, pair in pairs.items() if name not in drawn}
    tolerance = _tolerance(small)
    errors = {name: _error(*pair, exact=True) for name, pair in pairs.items()}
    allowed = dict.fromkeys(errors, tolerance)
    if max(errors.values(), default=0.0) > tolerance and makes_codes(small):
        errors = {name: _error(*pair, exact=False) for name, pair in pairs.items()}
        moves = _MOVES * max(largest_moves(small, typed, _rounding(small)).values())
        allowed = dict.fromkeys(errors, max(tolerance, moves))
    elif max(errors.values(), default=0.0) > tolerance:
        allowed = _as_rounded(small, typed, pairs, tolerance)
    for name, error in errors.items():
        _refuse(small, name, error, allowed[name])
    return HostCheck(max(errors.values(), default=0.0), max(allowed.values(), default=tolerance), drawn)


def _in_single(small: Graph, feeds: Mapping[str, Array], made: Mapping[str, Array]) -> HostCheck | None:
    """The check against a reference in single precision, where host and reference share the tolerance between them.

    None where that does not suffice, or where the host computes in double precision itself.
    """
    double = any(value.dtype == "float64" for value in small.values.values())
    if double or makes_codes(small) or random_values(small):
        return None
    tolerance, pairs = _tolerance(small), _pairs(made, small, feeds, "float32").values()
    if any(want.dtype.kind == "f" and np.isnan(want).any() for _, want in pairs):
        return None
    worst = max((_error(*pair, exact=True) for pair in pairs), default=0.0)
    return HostCheck(worst, tolerance) if worst <= tolerance / 2 else None


def _tolerance(small: Graph) -> float:
    return 4 * _coarsest(small) * (len(small.nodes) + 16)


def _pairs(made: Mapping[str, Array], small: Graph, feeds: Mapping[str, Array], dtype: str) -> Pairs:
    """Outputs of the host, and those of the reference."""
    names = frozenset(small.outputs)
    values = {name: array for name, array in walk(small, feeds, dtype=dtype, keep_all=False) if name in names}
    return {
        name: (got, values[name] if name in values else small.params[name].read())
        for name, got in made.items()
    }


def _as_rounded(small: Graph, feeds: Mapping[str, Array], pairs: Pairs, tolerance: float) -> dict[str, float]:
    """By output what rounding in every operator explains, relative to its largest magnitude."""
    moves = rounding_moves(small, feeds, _EPS)
    return {
        name: max(tolerance, _ROUNDED * moves.get(name, 0.0) / _largest(want))
        for name, (_, want) in pairs.items()
    }


def _largest(want: Array) -> float:
    real = np.asarray(want, np.float64)
    return max(float(np.max(np.abs(real), where=np.isfinite(real), initial=0.0)), 1e-30)


def _refuse(small: Graph, name: str, error: float, allowed: float) -> None:
    if not error <= allowed:
        raise VerificationError(
            f"output '{name}' of the pruned model is off the reference by {error:.1e} ({allowed:.1e} allowed)",
            where=small.name,
            advice=_ADVICE,
        )


def _typed(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.astype(_numpy_type(graph.values[name].dtype)) for name, array in feeds.items()}


def _error(got: Array, want: Array, *, exact: bool) -> float:
    """Relative; whole numbers must be equal where ``exact``."""
    if got.shape != want.shape:
        return float("inf")
    return relative_error(got, want) if exact else number_difference(got, want)


def _coarsest(graph: Graph) -> float:
    """Rounding of the coarsest type that any output has gone through: half precision is often cast at the end."""
    passed = {name: _EPS.get(graph.values[name].dtype, 0.0) for name in graph.inputs}
    for node in graph.nodes:
        read = max((passed.get(name, 0.0) for name in node.inputs if name is not None), default=0.0)
        for name in node.outputs:
            passed[name] = max(read, _EPS.get(graph.values[name].dtype, 0.0)) if name else read
    return max((passed.get(name, 0.0) for name in graph.outputs), default=0.0)


def _rounding(graph: Graph) -> float:
    """Rounding of the model's own types, at worst."""
    return max((_EPS.get(value.dtype, 0.0) for value in graph.values.values()), default=0.0)


def _numpy_type(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype
