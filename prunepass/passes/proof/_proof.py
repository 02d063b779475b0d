"""The proof: the cut graph computes what the original computes with the cut channels masked.

Both run in float64 with the reference interpreter, and every value is compared, not only the outputs:
what is cut of a value must be gone, what is kept must be equal. Params that are all zero (a freshly
initialised scale or head) would hide a fault, so they are perturbed on both sides. A value that is next to
nothing beside what it was made of (a mean of what has been centred) holds rounding alone, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir import (
    Array,
    Graph,
    ModelError,
    Node,
    Op,
    PrunepassError,
    VerificationError,
    call_of,
    gather,
    kept_of,
    masked_run,
    rule_of,
    walk,
)
from .._plan import Plan
from ..coupling import couple, cut_data
from ._difference import gap_between, relative_error
from ._stepwise import Sides, Steps, comparable

TOLERANCE = 1e-9
# Of what an operator adds up: some thousand times the rounding of one addition.
_ROUNDING = 1e-12
# How much an operator may enlarge what its operands already differ by, where rounding is all there is.
_GAIN = 1e3

Operands = tuple[Array | None, ...]
Watch = Callable[[Node, Op, Operands], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """Record of the comparison: number of values, the worst relative error and where it was."""

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
        ModelError: nothing can be proven, since all there is to compare is NaN or empty.
    """
    _refuse_empty(original, plan)
    feeds = random_inputs(original) if inputs is None else inputs
    coupling = couple(original)
    kept = plan.kept(coupling)
    changed = plan.shifted(original)
    large = {**(_perturbed(original, changed) if perturb else {}), **changed}
    small = {name: cut_data(coupling, kept, name, data) for name, data in large.items()}
    sides = Sides(coupling, kept, pruned, large, small)
    if comparable(original, coupling, kept, pruned):
        found = _by_steps(sides, feeds, tolerance)
        if found is not None:
            return found
    return _by_runs(sides, plan, feeds, tolerance)


def _by_steps(sides: Sides, feeds: Mapping[str, Array], tolerance: float) -> Proof | None:
    """The proof where every node agrees by itself; None where one does not, or cannot be compared so."""
    original, steps = sides.coupling.graph, Steps(sides)
    worst, where, count = 0.0, "", 0
    try:
        for name, got in steps.values(feeds):
            refuse_nan(original, name, got)
            error = steps.errors.get(name, 0.0 if name in original.inputs else np.inf)
            if not error <= tolerance:
                return None
            count += 1
            if worst <= error:
                worst, where = error, name
    except PrunepassError:
        return None
    return Proof(count, worst, where, tolerance)


def _by_runs(sides: Sides, plan: Plan, feeds: Mapping[str, Array], tolerance: float) -> Proof:
    """The proof from a run of both graphs.

    Raises:
        VerificationError: a value differs. ModelError: one is NaN throughout.
    """
    coupling, kept, large, small = sides.coupling, sides.kept, sides.large, sides.small
    original = coupling.graph
    worst, where, count = 0.0, "", 0
    rounding = _Rounding(original)
    masked = masked_values(original, plan, feeds, large, watch=rounding.watch)
    plain = walk(sides.pruned, feeds, params=small, keep_all=False)
    for (name, whole), (other, got) in zip(masked, plain, strict=True):
        want = gather(whole, kept_of(coupling.dims[name], coupling.norm, kept))
        refuse_nan(original, name, want)
        error = relative_error(got, want) if name == other and got.shape == want.shape else np.inf
        if not (error <= tolerance or rounding.explains(name, got, want, error)):
            raise VerificationError(
                _difference(original, name, got, want, error), where=_origin(original, name)
            )
        count += 1
        rounding.gaps[name] = gap_between(got, want)
        if worst <= error <= tolerance:
            worst, where = error, name
    return Proof(count, worst, where, tolerance)


@dataclass
class _Rounding:
    """Tells rounding from faults where the result is tiny: each difference must come from somewhere.

    A node may add the rounding of what it adds up (the magnitude of its operands, sent through it), and
    hands on what its operands differ by.
    """

    graph: Graph
    gaps: dict[str, float] = field(default_factory=dict)
    read: tuple[Node, Op, Operands] | None = None

    def watch(self, node: Node, op: Op, operands: Operands) -> None:
        self.read = node, op, operands

    def explains(self, name: str, got: Array, want: Array, error: float) -> bool:
        """Return whether a difference in the value that was made last is no more than rounding."""
        if self.read is None or name not in self.read[0].outputs:
            return False
        if want.dtype.kind not in "fc" or not np.isfinite(error):
            return False
        node, op, operands = self.read
        sizes = tuple(_size(op, at, array) for at, array in enumerate(operands))
        with np.errstate(all="ignore"):
            made = op.flow.magnitude(op, call_of(self.graph, node), sizes)[node.outputs.index(name)]
        scale = float(np.max(made, initial=0.0))
        inherited = sum(self.gaps.get(read, 0.0) for read in node.inputs if read is not None)
        return bool(np.isfinite(scale)) and gap_between(got, want) <= _ROUNDING * scale + _GAIN * inherited


def _size(op: Op, position: int, array: Array | None) -> Array | None:
    signed = op.operands[position : position + 1] in (("scale",), ("shift",), ("mean",), ("var",))
    return array if array is None or signed or array.dtype.kind != "f" else np.abs(array)


def masked_values(
    graph: Graph,
    plan: Plan,
    feeds: Mapping[str, Array],
    params: Mapping[str, Array] | None = None,
    *,
    watch: Watch | None = None,
) -> Iterator[tuple[str, Array]]:
    """Values of the uncut graph with the cut channels removed from everything that reads them.

    Args:
        params: replaces the data of these params.
        watch: is told of every node and its operands before its values are made.
    """
    coupling = couple(graph)
    kept = plan.kept(coupling)

    def step(graph: Graph, node: Node, op: Op, operands: Operands) -> tuple[Array, ...]:
        if watch is not None:
            watch(node, op, operands)
        return masked_run(op, call_of(graph, node), rule_of(graph, node), coupling.norm, kept, operands)

    replaced = plan.shifted(graph) if params is None else params
    return walk(graph, feeds, step=step, params=replaced, keep_all=False)


def _perturbed(graph: Graph, changed: Mapping[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    found = {}
    for name, param in graph.params.items():
        if param.trained and param.is_float and name not in changed:
            data = param.read()
            if data.size and not np.any(data):
                found[name] = rng.uniform(0.5, 1.0, data.shape)
    return found


def _refuse_empty(graph: Graph, plan: Plan) -> None:
    """Where nothing goes in, any cut is as good as any other. (Sizes of outputs may depend on the data.)"""
    if plan.cuts and graph.inputs and all(0 in graph.tensor(name).shape for name in graph.inputs):
        raise ModelError(
            "every input is empty, so nothing can be proven",
            where=graph.name,
            advice="capture it with inputs that hold something, a batch of 1 at least",
        )


def refuse_nan(graph: Graph, name: str, want: Array, *, examples: bool = False) -> None:
    """A value that is NaN throughout equals anything; it would prove nothing.

    Args:
        examples: whether it was made from the user's example inputs.

    Raises:
        ModelError: naming the value.
    """
    if want.dtype.kind != "f" or not want.size or not np.all(np.isnan(want)):
        return
    made = " on the example inputs" if examples else ""
    raise ModelError(
        f"value '{name}' is NaN throughout{made}, so nothing can be proven",
        where=_origin(graph, name),
        advice="give inputs that hold numbers" if examples else "look for NaN weights or negative variances",
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
