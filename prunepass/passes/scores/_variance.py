"""Residual variance after bias compensation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, Graph, check_options, is_float
from ..analyses import (
    SOURCES,
    Magnitudes,
    Observed,
    Sampled,
    Shares,
    Statistic,
    importance,
    normalised,
    observed_samples,
    one_sample,
    read_values,
    shares_of,
    statistics,
    trace,
    trace_moments,
    variance_of,
)
from ..cost import CostModel
from ..coupling import Coupling, Read, reads_of
from ._given import given_by_atom
from ._protocol import Scores, choice, per_index, prunable

PER = ("macs", "params", "none")


@dataclass(frozen=True)
class Variance:
    """Share of the network's variance that is lost with a channel, per multiply-accumulate it costs.

    Cutting a channel and moving its mean into the biases of its consumers leaves an error of variance
    ``Var * |W|^2`` in each (STADE, arXiv 2503.22451, for one weight; here summed over the outputs and kernel
    positions that read the channel). Variances come from the normalisations above, through activations. The
    error is taken relative to the variance of the consumer's result, as the normalisation behind it states
    it or else as its inputs write it, weighted by how much of the network's outputs rests on that result,
    and summed over consumers. Where no normalisation says how data varies its square magnitude stands for
    the variance.

    Attributes:
        per: ``macs`` or ``params`` saved by one channel, or ``none``.
        source: where variances come from: ``model``, what normalisations say; ``synthetic``, inputs made up; or
            ``data``, those of the task.
    """

    name: ClassVar[str] = "variance"
    per: str = "macs"
    source: str = "model"

    def __post_init__(self) -> None:
        check_options(self)
        choice("per", self.per, PER)
        choice("source", self.source, SOURCES)

    @property
    def needs(self) -> tuple[Statistic, ...]:
        """Nothing where the model itself says how its values vary."""
        return () if self.source == "model" else (statistics.Mean(), statistics.Variance())

    def __call__(self, coupling: Coupling, seen: Observed | None = None) -> Scores:
        small = one_sample(coupling)
        samples = {} if seen is None else observed_samples(small, seen)
        lost = _survey(small, samples).lost(small.graph)
        found = {group.name: lost.get(atom, np.zeros(group.size)) for group, atom in prunable(small)}
        if self.per == "none":
            return found
        model = CostModel(coupling)
        # Scaled to the whole model, so that scores do not shrink with its size.
        whole = max(model.totals[self.per], 1)
        return {
            group.name: found[group.name] * whole / (model.saving(atom, self.per) or 1.0)
            for group, atom in prunable(coupling)
        }

    def explain(self, coupling: Coupling) -> dict[str, str]:
        """Groups that some consumer reads without the model saying how they vary."""
        if self.source != "model":
            return {}
        small = one_sample(coupling)
        unknown = _survey(small, {}).unknown
        return {
            group.name: f"no statistics reach {_listed(unknown[atom])}: squared magnitudes stand for variances"
            for group, atom in prunable(small)
            if atom in unknown
        }


def _listed(places: list[str], most: int = 3) -> str:
    more = len(places) - most
    return ", ".join(places[:most]) + (f" and {more} more" if more > 0 else "")


@dataclass
class _Survey:
    """Findings of one walk: losses by atom and consumer, shares of importance, missing variances."""

    losses: list[tuple[Atom, tuple[str, ...], Array]] = field(default_factory=list)
    shares: dict[str, Shares] = field(default_factory=dict)
    unknown: dict[Atom, list[str]] = field(default_factory=dict)

    def lost(self, graph: Graph) -> dict[Atom, Array]:
        """Loss of each channel summed over its consumers, weighted by what rests on their results."""
        weight, total = importance(graph, self.shares), dict[Atom, Array]()
        for atom, outputs, share in self.losses:
            rests = sum(weight.get(output, 0.0) for output in outputs)
            total[atom] = total.get(atom, np.zeros(atom.size)) + rests * share
        return total


def _survey(coupling: Coupling, observed: Mapping[str, Array]) -> _Survey:
    """One walk; what was observed of a value goes before what the model says of it."""
    found = _Survey()
    for told, bound in zip(trace_moments(coupling, _wanted(coupling)), trace(coupling), strict=True):
        node = told.step.node
        met = _seen(told, observed)
        found.shares[node.name] = shares_of(met, bound.operands)
        for read in reads_of(coupling, met.step):
            for atom, share in _lost_shares(coupling, met, bound, read).items():
                found.losses.append((atom, node.outputs, share))
                if met.operands[read.position] is None:
                    found.unknown.setdefault(atom, []).append(str(node.origin) or node.name)
        found.losses += _given(coupling, met, bound)
    return found


def _seen(told: Sampled, observed: Mapping[str, Array]) -> Sampled:
    data, names = told.step.data, told.step.node.inputs
    return replace(
        told,
        operands=tuple(
            observed.get(str(names[i]), samples) if i in data else samples
            for i, samples in enumerate(told.operands)
        ),
    )


def _given(
    coupling: Coupling, met: Sampled, bound: Magnitudes
) -> Iterator[tuple[Atom, tuple[str, ...], Array]]:
    """Shares of the variance of outputs whose channels may be cut."""
    for name, samples, size in zip(met.step.node.outputs, met.results, bound.results, strict=False):
        varies = np.square(size) if samples is None else variance_of(samples)
        for atom, lost in given_by_atom(coupling, name, varies):
            yield atom, (name,), lost / (float(lost.sum()) or 1.0)


def _wanted(coupling: Coupling) -> frozenset[str]:
    """Values whose variance counts: what is summed over, and what meets other data."""
    graph = coupling.graph
    met = {*read_values(coupling), *graph.freed}
    for node in graph.nodes:
        data = [name for name in node.inputs if name in graph.values and name not in coupling.static]
        if len(data) > 1:
            met.update(name for name in data if name is not None)
    return frozenset(met)


def _lost_shares(coupling: Coupling, met: Sampled, bound: Magnitudes, read: Read) -> dict[Atom, Array]:
    """Share of the variance of a consumer's result that goes with each channel, by atom."""
    dims = met.step.rule.operands[read.position] or ()
    known = normalised(coupling.graph, met)
    written = _written(known[0] if known else met, bound, read)
    whole = known[1] if known else float(written.sum())
    norm = coupling.norm
    return {
        atom: per_index(written, read.axis, norm(dims[read.axis]), atom) / (whole or 1.0)
        for atom in read.atoms
    }


def _written(met: Sampled, bound: Magnitudes, read: Read) -> Array:
    """Variance that each entry of an operand writes into the result, entries taken as independent."""
    step, at = met.step, read.position
    squares = tuple(_square(met, bound.operands[i], i, at) for i in range(len(step.call.shapes)))
    transfer = step.op.flow.inflow
    found = squares[at] if transfer is None else transfer(step.op, step.call, squares, at)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), step.call.shape(at))


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
