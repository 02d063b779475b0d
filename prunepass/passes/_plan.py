"""The plan: which channels of which groups go. A file that can be reviewed and replayed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np

from ..ir import Array, Atom, Graph, Index, Tie, UsageError
from . import _plan_file
from ._by_layer import removed_by_layer
from ._tensors import Tensors, as_stored
from .analyses import changed_sums, refitted
from .coupling import Coupling, couple, kept_axes, sum_reason

_MOST = 2**31


class Analysed(Protocol):
    """A model with its groups, as :func:`prunepass.analyze` gives it."""

    @property
    def coupling(self) -> Coupling: ...


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cut of one group: ``remove`` are channel indices, ascending, of ``size``."""

    size: Annotated[int, msgspec.Meta(ge=1, lt=_MOST)]
    remove: tuple[Annotated[int, msgspec.Meta(ge=0, lt=_MOST)], ...]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A plan of a prune: the channels of each group that go, and the repairs.

    Attributes:
        fingerprint: of the model it was made for; it is refused on another one.
        cuts: by group name.
        shifts: amounts added to a param before it is cut, by param name, as flat lists of the
            param's *original* size: means of cut channels moved into biases, and what keeps the
            filters that stay as they are where a norm of the weights runs over what goes.
        pins: ``(tensor, axis, reason)`` beyond the model's own, that the groups depend on.
        ties: ``(param, axis, param, axis, reason)`` likewise.
        tensors: what stands in place of a param's data before anything is added or cut, by param name, in
            the param's *original* shape.
        free: outputs of the model whose channels may be cut.
        options: how it was made (budget, score, align, ...), for the reader.
        format: the first one that can say all of it.
    """

    fingerprint: str
    cuts: Mapping[str, Cut]
    shifts: Mapping[str, tuple[float, ...]] = {}
    pins: tuple[tuple[str, int, str], ...] = ()
    ties: tuple[tuple[str, int, str, int, str], ...] = ()
    options: Mapping[str, Any] = {}
    tensors: Tensors = msgspec.field(default_factory=Tensors)
    free: tuple[str, ...] = ()
    format: int = 1

    def __post_init__(self) -> None:
        given: Any = self.tensors  # a plain mapping will do
        if not isinstance(given, Tensors):
            msgspec.structs.force_setattr(self, "tensors", Tensors(given))
        msgspec.structs.force_setattr(self, "format", 2 if self.tensors or self.free else 1)

    def save(self, path: str | os.PathLike[str], *, tensors: str | None = None) -> None:
        """Write the plan as JSON with sorted keys, and its tensors beside it; an interrupted write leaves the old.

        Args:
            tensors: name of their file, which is then always written, for builds that must know their outputs
                beforehand; without, it is named by the hash of its content, and only written where there are any.
        """
        _plan_file.save(self, path, tensors)

    def to_json(self) -> str:
        """The plan as text; of its tensors it holds their file, its hash and their names."""
        return _plan_file.to_json(self)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Plan:
        """Read a plan.

        Raises:
            UsageError: a file is missing or altered, no plan, or of a newer format.
        """
        return _plan_file.load(path, Plan)

    @staticmethod
    def of(model: Graph | Analysed, remove: Mapping[str, Iterable[int]], **options: Any) -> Plan:
        """A plan from numbers of output channels by the name of a layer, or of a weight; any of a group will do.

        Args:
            model: the original as captured or analysed.
            remove: what goes, ``{"layer1.conv1": [0, 3]}``.
            options: notes for the reader.

        Raises:
            UsageError: a layer is not there or ambiguous; a channel is pinned, not there, or goes only with others.
        """
        coupling = couple(model) if isinstance(model, Graph) else model.coupling
        plan = plan_for(coupling, removed_by_layer(coupling, remove), **options)
        return plan.made_for(coupling.graph)

    def made_for(self, graph: Graph) -> Plan:
        """The same plan, which knows ``graph``, its original: what asks for a graph will do without one.

        It keeps the data of the original alive, until it is gone; a file holds nothing of that.
        """
        known = msgspec.structs.replace(self)
        vars(known)["graph"] = graph
        return known

    def _original(self, graph: Graph | None) -> Graph:
        found: Graph | None = vars(self).get("graph") if graph is None else graph
        if found is None:
            raise UsageError(
                "a plan that was read from a file does not know its model",
                advice="give the original too: graph=pp.capture(model, example_inputs)",
            )
        return found

    def then(self, later: Plan, graph: Graph | None = None) -> Plan:
        """This plan and one for the model that it leaves, as one plan in the terms of the original.

        It gives the original, in one go and bit for bit, what both give it one after the other.

        Args:
            graph: the original as captured; a plan that :func:`prunepass.prune` has made knows it.

        Raises:
            UsageError: ``later`` was made for another model, or cannot be said in groups of the original.
        """
        from ._then import then

        original = self._original(graph)
        return then(original, self, later).made_for(original)

    def indices(self, name: str, graph: Graph | None = None) -> tuple[Index | None, ...]:
        """Kept indices of the tensor called ``name``, axis by axis; None where a whole axis stays.

        Raises:
            UsageError: there is no such tensor, or the plan does not know its model.
        """
        original = self._original(graph)
        coupling = couple(self.constrain(original))
        if name not in coupling.dims:
            raise UsageError(f"there is no tensor '{name}' in the model", where=original.name)
        return kept_axes(coupling, self.kept(coupling), name)

    def constrain(self, graph: Graph) -> Graph:
        """``graph`` with the plan's own pins, ties and free outputs, so that its groups are those of the plan.

        Raises:
            UsageError: one is about an axis that the graph does not have.
        """
        return _constrained(self, graph)

    def kept(self, coupling: Coupling) -> dict[Atom, Index]:
        """Kept indices of every cut atom of ``coupling``.

        Raises:
            UsageError: a group is missing, pinned, or has another size, or nothing or what is not there is cut.
        """
        return _kept(self, coupling)

    def check(self, graph: Graph) -> None:
        """Refuse another model than the plan was made for."""
        _check(self, graph)

    def shifted(self, graph: Graph) -> dict[str, Array]:
        """Data of every param that the plan changes, uncut: whole tensors are put in, then amounts are added.

        Raises:
            UsageError: a param is missing or has another size.
        """
        return _changed(self, graph)


def _check(plan: Plan, graph: Graph) -> None:
    found = fingerprint(graph)
    if found != plan.fingerprint:
        raise UsageError(
            f"the plan was made for another model (fingerprint {plan.fingerprint[:12]}, "
            f"this one has {found[:12]})",
            where=graph.name,
            advice="names, shapes and types of all parameters must be the same",
        )


def _constrained(plan: Plan, graph: Graph) -> Graph:
    for name, axis in _places(plan):
        known = name in graph.values or name in graph.params
        if not known or not 0 <= axis < len(graph.tensor(name).shape):
            raise UsageError(
                f"the plan pins or ties axis {axis} of '{name}', which this model does not have",
                advice="a plan is for one model, captured in one form",
            )
    ties = tuple(Tie((a, i), (b, j), reason) for a, i, b, j, reason in plan.ties)
    extra_pins = tuple(pin for pin in plan.pins if pin not in graph.pins)
    extra_ties = tuple(tie for tie in ties if tie not in graph.ties)
    if plan.free != graph.free:
        graph = with_free(graph, plan.free)
    return with_constraints(graph, extra_pins, extra_ties) if extra_pins or extra_ties else graph


def _kept(plan: Plan, coupling: Coupling) -> dict[Atom, Index]:
    found = {group.name: group for group in coupling.groups}
    kept: dict[Atom, Index] = {}
    for name, cut in plan.cuts.items():
        group = found.get(name)
        if group is None or group.atom is None or group.size != cut.size:
            what = "is pinned" if group and group.atom is None else "does not exist with this size"
            raise UsageError(f"the plan cuts group '{name}', which {what} in this model")
        kept[group.atom] = np.setdiff1d(np.arange(group.size), np.asarray(cut.remove, dtype=np.int64))
        if len(kept[group.atom]) != group.size - len(cut.remove) or not len(kept[group.atom]):
            raise UsageError(
                f"the plan removes {len(cut.remove)} of the {group.size} channels of group '{name}'",
                advice="indices are distinct, below the size, and leave a channel",
            )
    return kept


def _changed(plan: Plan, graph: Graph) -> dict[str, Array]:
    changed: dict[str, Array] = {}
    for name, tensor in plan.tensors.items():
        data = _data(graph, name)
        if data.shape != tensor.shape:
            raise UsageError(
                f"the plan holds a tensor for '{name}', which does not exist with this shape in this model"
            )
        changed[name] = as_stored(tensor.astype(data.dtype), graph.params[name].dtype)
    for name, amounts in plan.shifts.items():
        data = changed[name] if name in changed else _data(graph, name)
        if data.size != len(amounts):
            raise UsageError(f"the plan shifts '{name}', which does not exist with this size in this model")
        more = (data + np.asarray(amounts).reshape(data.shape)).astype(data.dtype)
        changed[name] = as_stored(more, graph.params[name].dtype)
    return changed


def _data(graph: Graph, name: str) -> Array:
    return graph.params[name].read() if name in graph.params else np.zeros(0)


def _places(plan: Plan) -> Iterator[tuple[str, int]]:
    """Every axis that the plan's pins and ties are about."""
    for name, axis, _ in plan.pins:
        yield name, axis
    for left, at, right, there, _ in plan.ties:
        yield from ((left, at), (right, there))


def with_constraints(
    graph: Graph, pins: tuple[tuple[str, int, str], ...], ties: tuple[Tie, ...] = ()
) -> Graph:
    """``graph`` with more pins and ties."""
    return replace(graph, pins=(*graph.pins, *pins), ties=(*graph.ties, *ties))


def with_free(graph: Graph, outputs: Iterable[str]) -> Graph:
    """``graph`` with no other outputs than these to be cut.

    Raises:
        UsageError: it has no such output.
    """
    free = tuple(outputs)
    for name in free:
        if name not in graph.outputs:
            raise UsageError(
                f"the model has no output '{name}'", advice=f"its outputs are {', '.join(graph.outputs)}"
            )
    return replace(graph, free=free)


def plan_for(coupling: Coupling, remove: Mapping[str, Index], **options: Any) -> Plan:
    """A plan for removing the given channel indices of the given groups.

    Weights that are computed from a norm over cut channels stay as they are where a trained factor takes it up.
    """
    graph = coupling.graph
    cuts = {
        name: Cut(coupling.group(name).size, tuple(int(i) for i in np.sort(index)))
        for name, index in remove.items()
        if len(index)
    }
    ties = tuple((*tie.left, *tie.right, tie.reason) for tie in graph.ties)
    plan = Plan(
        fingerprint=fingerprint(graph),
        cuts=cuts,
        pins=graph.pins,
        ties=ties,
        free=graph.free,
        options=options,
    )
    return msgspec.structs.replace(plan, shifts=refitted(coupling, plan.kept(coupling)))


def left_inexact(coupling: Coupling, plan: Plan) -> dict[str, tuple[str, ...]]:
    """By name of each group that ``plan`` cuts, why the cut changes more than what reads its channels.

    Without those norms of weights whose change the plan takes up.
    """
    changed = changed_sums(coupling, plan.kept(coupling), plan.shifted(coupling.graph))
    nodes = [node for node in coupling.graph.nodes if node.name in coupling.weight_sums]
    settled = {sum_reason(node) for node in nodes if node.name not in changed}
    return {
        name: tuple(reason for reason in coupling.group(name).inexact if reason not in settled)
        for name in plan.cuts
    }


def fingerprint(graph: Graph) -> str:
    """A hash over names, shapes and types of the trained params and over the operators."""
    params = sorted((p.name, list(p.shape), p.dtype) for p in graph.params.values() if p.trained)
    text = json.dumps([params, [node.op for node in graph.nodes]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
