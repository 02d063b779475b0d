"""The proof: the cut graph computes what the original computes with the cut channels masked.

Both run in float64 with the reference interpreter, and every value is compared, not only the outputs:
what is cut of a value must be gone, what is kept must be equal. Params that are all zero (a freshly
initialised scale or head) would hide a fault, so they are perturbed on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Graph, ModelError, Node, Op, VerificationError, call_of, rule_of, walk
from ..ir._cutting import gather, kept_of, masked_run
from ._coupling import couple
from ._plan import Plan

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared: number of values, the worst relative error and where it was."""

    values: int
    worst: float
    where: str
    tolerance: float

    def __str__(self) -> str:
        return f"{self.values} values equal, worst relative error {self.worst:.1e} at '{self.where}'"


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Inputs drawn from the normal law; integers and booleans from {0, 1}."""
    rng = np.random.default_rng(seed)
    return {name: _draw(rng, graph.values[name].shape, graph.values[name].dtype) for name in graph.inputs}


def _draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if "float" in dtype:
        return rng.standard_normal(shape)
    return rng.integers(0, 2, shape).astype(dtype)


def prove(
    original: Graph,
    pruned: Graph,
    plan: Plan,
    inputs: Mapping[str, Array] | None = None,
    *,
    tolerance: float = TOLERANCE,
    perturb: bool = True,
) -> Proof:
    """Compare the cut graph with the masked original at every value, in float64.

    Args:
        inputs: by input name; random where None.
        tolerance: on the difference, relative to the largest magnitude of the value.
        perturb: give params that are all zero random data on both sides.

    Raises:
        VerificationError: a value differs; the first one is named.
    """
    feeds = random_inputs(original) if inputs is None else inputs
    coupling = couple(original)
    kept = plan.kept(coupling)
    large = {**plan.shifted(original), **(_perturbed(original, plan) if perturb else {})}
    small = {
        name: gather(data, kept_of(coupling.dims[name], coupling.norm, kept)) for name, data in large.items()
    }
    worst, where, count = 0.0, "", 0
    masked = masked_values(original, plan, feeds, large)
    plain = walk(pruned, feeds, params=small, keep_all=False)
    for (name, whole), (other, got) in zip(masked, plain, strict=True):
        want = gather(whole, kept_of(coupling.dims[name], coupling.norm, kept))
        _refuse_nan(original, name, want)
        error = relative_error(got, want) if name == other and got.shape == want.shape else np.inf
        if not error <= tolerance:
            raise VerificationError(
                _difference(original, name, got, want, error), where=_origin(original, name)
            )
        count += 1
        if error >= worst:
            worst, where = error, name
    return Proof(count, worst, where, tolerance)


def masked_values(
    graph: Graph, plan: Plan, feeds: Mapping[str, Array], params: Mapping[str, Array] | None = None
) -> Iterator[tuple[str, Array]]:
    """Values of the uncut graph with the cut channels removed from everything that reads them."""
    coupling = couple(graph)
    kept = plan.kept(coupling)

    def step(graph: Graph, node: Node, op: Op, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
        return masked_run(op, call_of(graph, node), rule_of(graph, node), coupling.norm, kept, operands)

    replaced = plan.shifted(graph) if params is None else params
    return walk(graph, feeds, step=step, params=replaced, keep_all=False)


def _perturbed(graph: Graph, plan: Plan) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    found = {}
    for name, param in graph.params.items():
        if param.trained and param.is_float and name not in plan.shifts:
            data = param.read()
            if data.size and not np.any(data):
                found[name] = rng.uniform(0.5, 1.0, data.shape)
    return found


def relative_error(got: Array, want: Array) -> float:
    """Largest difference, relative to the largest finite magnitude; equal infinities and NaN agree."""
    if got.size == 0:
        return 0.0
    if want.dtype.kind not in "fc":
        return float(np.any(got != want))
    wrong = np.isfinite(got) != np.isfinite(want)
    if np.any(wrong):
        return float("inf")
    finite = np.isfinite(want)
    scale = float(np.max(np.abs(want), where=finite, initial=0.0))
    gap = float(np.max(np.abs(np.where(finite, got, 0) - np.where(finite, want, 0)), initial=0.0))
    return gap / max(scale, 1e-30) if gap else 0.0


def _refuse_nan(graph: Graph, name: str, want: Array) -> None:
    """A value that is NaN throughout equals anything; it would prove nothing."""
    if want.dtype.kind == "f" and want.size and np.all(np.isnan(want)):
        raise ModelError(
            f"value '{name}' is NaN throughout, so nothing can be proven",
            where=_origin(graph, name),
            advice="look for NaN weights or negative variances",
        )


def _difference(graph: Graph, name: str, got: Array, want: Array, error: float) -> str:
    if got.shape != want.shape:
        return f"value '{name}' has shape {got.shape} after the cut, masked it has {want.shape}"
    at = np.unravel_index(
        int(np.nanargmax(np.abs(np.asarray(got, float) - np.asarray(want, float)))), got.shape
    )
    place = ", ".join(str(int(i)) for i in at)
    values = f"pruned {got[at]:.9g}, masked {want[at]:.9g}"
    return f"value '{name}' differs at [{place}]: {values} (relative {error:.1e})"


def _origin(graph: Graph, name: str) -> str:
    node = graph.producers.get(name)
    return str(node.origin) or node.name if node else graph.name
