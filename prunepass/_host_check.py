"""The pruned model in its own host against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .hosts import Session
from .ir import Array, BackendError, Graph, ModelError, VerificationError, evaluate
from .passes import largest_moves, makes_codes, number_difference, random_inputs, refuse_nan, relative_error

_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
# Of how far the reference moves by itself.
_MOVES = 4.0


@dataclass(frozen=True)
class HostCheck:
    """The pruned model in its own host against the reference: worst relative error of the outputs."""

    worst: float
    tolerance: float


def check_runs(session: Session, model: Any) -> None:
    """Refuse a file that its own engine does not run as it is, before any work is done on it.

    Raises:
        ModelError: in the engine's words.
    """
    if session.form != "onnx":
        return  # what was traced has run
    try:
        session.run(model, _typed(session.graph, session.feeds() or random_inputs(session.graph)))
    except BackendError as error:
        raise ModelError(error.what, where=error.where, advice="it fails as it is, before any cut") from error


def host_check(session: Session, pruned: Any, small: Graph) -> HostCheck:
    """Run the pruned model in its own host and compare its outputs with the cut graph's reference.

    The tolerance is the rounding of the coarsest type that an output was made of times the number of nodes a
    rounding error passes. Where the model turns numbers into codes, a last bit may decide on a whole step:
    there it is a few times what rounding makes of the reference itself, should an output be further off.

    Raises:
        VerificationError: an output differs. ModelError: an output is NaN throughout.
    """
    typed = _typed(small, session.feeds() or random_inputs(small))
    values = evaluate(small, typed)
    tolerance = 4 * _coarsest(small) * (len(small.nodes) + 16)
    pairs = {
        name: (got, values[name] if name in values else small.params[name].read())
        for name, got in zip(small.outputs, session.run(pruned, typed), strict=True)
    }
    for name, (_, want) in pairs.items():
        refuse_nan(small, name, want, examples=True)
    errors = {name: _error(*pair, exact=True) for name, pair in pairs.items()}
    if max(errors.values(), default=0.0) > tolerance and makes_codes(small):
        errors = {name: _error(*pair, exact=False) for name, pair in pairs.items()}
        tolerance = max(tolerance, _MOVES * max(largest_moves(small, typed, _rounding(small)).values()))
    for name, error in errors.items():
        if not error <= tolerance:
            raise VerificationError(
                f"output '{name}' of the pruned model is off the reference by {error:.1e} ({tolerance:.1e} allowed)",
                where=small.name,
            )
    return HostCheck(max(errors.values(), default=0.0), tolerance)


def _typed(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.astype(_numpy_type(graph.values[name].dtype)) for name, array in feeds.items()}


def _error(got: Array, want: Array, *, exact: bool) -> float:
    """Relative; whole numbers must be equal where ``exact``."""
    if got.shape != want.shape:
        return float("inf")
    return relative_error(got, want) if exact else number_difference(got, want)


def _coarsest(graph: Graph) -> float:
    """What the coarsest type rounds by that any output has gone through: half precision is often cast at the end."""
    passed = {name: _EPS.get(graph.values[name].dtype, 0.0) for name in graph.inputs}
    for node in graph.nodes:
        read = max((passed.get(name, 0.0) for name in node.inputs if name is not None), default=0.0)
        for name in node.outputs:
            passed[name] = max(read, _EPS.get(graph.values[name].dtype, 0.0)) if name else read
    return max((passed.get(name, 0.0) for name in graph.outputs), default=0.0)


def _rounding(graph: Graph) -> float:
    """What the model's own types round by, at worst."""
    return max((_EPS.get(value.dtype, 0.0) for value in graph.values.values()), default=0.0)


def _numpy_type(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype
