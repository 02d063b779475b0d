"""What stays wrong after the mean of a cut channel has moved into a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, is_float
from .._cost import CostModel
from .._coupling import Coupling
from .._magnitude import trace
from .._moments import Sampled, read_values, trace_moments, variance_of
from .._sample import one_sample
from .._stream import Read, reads_of
from ._protocol import Scores, choice, per_index, prunable

PER = ("macs", "params", "none")


@dataclass(frozen=True)
class Variance:
    """Share of its consumers' variance that a channel accounts for, per multiply-accumulate it costs.

    Cutting a channel and moving its mean into the biases of its consumers leaves an error of variance
    ``Var * |W|^2`` in each (STADE, arXiv 2503.22451, for one weight; here summed over the outputs and kernel
    positions that read the channel). Variances come from the normalisations above, through activations; each
    consumer's errors are taken relative to what all its inputs write into it, and summed over consumers.
    Where no normalisation says how the data varies its square magnitude stands for the variance: only ratios
    between the inputs of one consumer count, so the scale of that does not matter.

    Attributes:
        per: ``macs`` or ``params`` saved by one channel, or ``none``.
    """

    name: ClassVar[str] = "variance"
    per: str = "macs"

    def __post_init__(self) -> None:
        choice("per", self.per, PER)

    def __call__(self, coupling: Coupling) -> Scores:
        small = one_sample(coupling)
        shares, _ = _shares(small)
        by_name = {group.name: shares.get(atom, np.zeros(group.size)) for group, atom in prunable(small)}
        if self.per == "none":
            return by_name
        model = CostModel(coupling)
        # Scaled to the whole model, so that scores do not shrink with its size.
        whole = max(model.totals[self.per], 1)
        return {
            group.name: by_name[group.name] * whole / (model.saving(atom, self.per) or 1.0)
            for group, atom in prunable(coupling)
        }

    def explain(self, coupling: Coupling) -> dict[str, str]:
        """Groups that some consumer reads without the model saying how they vary."""
        small = one_sample(coupling)
        unknown = _shares(small)[1]
        return {
            group.name: f"no statistics reach {', '.join(unknown[atom])}; squared magnitudes stand for variances there"
            for group, atom in prunable(small)
            if atom in unknown
        }


def _shares(coupling: Coupling) -> tuple[dict[Atom, Array], dict[Atom, list[str]]]:
    """Shares of each channel summed over consumers, and the nodes whose data had no known variance."""
    shares: dict[Atom, Array] = {}
    unknown: dict[Atom, list[str]] = {}
    sampled = trace_moments(coupling, read_values(coupling))
    for met, bound in zip(sampled, trace(coupling), strict=True):
        for read in reads_of(coupling, met.step):
            written = _written(met, bound.operands, read)
            dims = met.step.rule.operands[read.position]
            if dims is None:
                continue
            whole = float(written.sum()) or 1.0
            for atom in read.atoms:
                share = per_index(written, read.axis, coupling.norm(dims[read.axis]), atom) / whole
                shares[atom] = shares.get(atom, np.zeros(atom.size)) + share
                if met.operands[read.position] is None:
                    unknown.setdefault(atom, []).append(str(met.step.node.origin) or met.step.node.name)
    return shares, unknown


def _written(met: Sampled, bounds: tuple[Array | None, ...], read: Read) -> Array:
    """Variance that each entry of an operand writes into the result, entries taken as independent."""
    step, shape = met.step, met.step.call.shape(read.position)
    squares = tuple(_square(met, bounds[i], i, read.position) for i in range(len(step.call.shapes)))
    transfer = step.op.flow.inflow
    found = squares[read.position] if transfer is None else transfer(step.op, step.call, squares, read.position)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), shape)


def _square(met: Sampled, bound: Array | None, position: int, varying: int) -> Array | None:
    """Squared weight; variance of the operand in question, mean square of any other; else what bounds it."""
    step = met.step
    if not step.call.has(position):
        return None
    static, samples, shape = step.static[position], met.operands[position], step.call.shape(position)
    if static is not None:
        if not is_float(static.dtype.name):
            return static
        return np.zeros(shape) if position == step.op.shift_out else np.square(static)
    if samples is None:
        return np.ones(shape) if bound is None else np.square(bound)
    square = variance_of(samples) if position == varying else np.mean(samples**2, axis=0)
    return np.broadcast_to(square, shape)
