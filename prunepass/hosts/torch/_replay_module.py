"""Replay onto the user's own module: same class, same names, smaller tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ...ir import Array, Graph, Param
from .._session import UnchangedSize
from ._absorb import absorbed
from ._agreement import Update
from ._attributes import OwnUpdates, own_updates
from ._check import check_model
from ._copy import copied
from ._declared_sizes import Declared, declared_sizes, foreign_holders
from ._export import export
from ._inputs import tensors_of
from ._kept import Kept
from ._lock import locked
from ._mismatch import ReplayMismatch, first_difference
from ._sizes import CutSizes, layer_sizes
from ._trace import Trace

# Each name that is tried by itself costs a capture.
_NAMES = 4


def replay_module(
    model: nn.Module, before: Graph, after: Graph, example_inputs: Any, *, inplace: bool = False
) -> nn.Module:
    """Write the tensors that changed from ``before`` to ``after`` and let sizes kept as attributes follow.

    The result is captured again and must be ``after``, node by node. Shared tensors stay shared, parameters
    keep ``requires_grad`` and lose their gradients, all other state stays.

    Args:
        model: the module that ``before`` was captured from.
        inplace: change ``model`` itself; if any step fails it is as it was.

    Raises:
        ReplayMismatch: the module's own code contradicts the cut; says where and carries remedies.
        UnsupportedError: the module cannot be copied.
    """
    return replayed(model, before, after, example_inputs, inplace=inplace).module


@dataclass(frozen=True)
class Replayed:
    """Result of a replay: the module, and sizes it keeps for which no new value is determined."""

    module: nn.Module
    unchanged: tuple[UnchangedSize, ...]


@locked
def replayed(
    model: nn.Module,
    before: Graph,
    after: Graph,
    example_inputs: Any,
    *,
    inplace: bool | Kept = False,
    trace: Trace | None = None,
) -> Replayed:
    """Replay as :func:`replay_module`, and tell what did not follow.

    Args:
        inplace: what the module held may be given, to be told what is changed, for later steps that fail.
        trace: of ``model`` on these inputs, where there is one already.
    """
    if trace is None:
        trace = Trace()
        export(model, example_inputs, trace)
    target = model if inplace else copied(model)
    foreign = frozenset[int]() if inplace else foreign_holders(model)
    done = inplace.changes if isinstance(inplace, Kept) else []
    job = _Job(target, CutSizes(before, after), example_inputs, foreign, done)
    updates = own_updates(target, job.cut, trace, foreign)
    for fewer in _alternatives(updates):
        with suppress(ReplayMismatch):
            return Replayed(target, tuple(_attempt(job, fewer)))
    try:
        return Replayed(target, tuple(_attempt(job, [*updates.stated, *updates.guessed], last=True)))
    except ReplayMismatch as mismatch:
        raise (updates.turned or mismatch) from mismatch


@dataclass(frozen=True)
class _Job:
    """One replay: the module, its cut, the inputs of its check, and objects that are not the module's own.

    Attributes:
        done: what has been changed, and what it was, in order.
    """

    target: nn.Module
    cut: CutSizes
    example_inputs: Any
    foreign: frozenset[int]
    done: list[Update]

    def check(self) -> None:
        """Hold the module against the cut graph.

        Numbers that it computes from widths may change where weights can make that good.
        """
        try:
            check_model(self.target, self.example_inputs, self.cut.before, self.cut.after)
        except ReplayMismatch as mismatch:
            captured = mismatch.captured
            names = frozenset(name for name, _ in self.target.named_parameters(remove_duplicate=False))
            found = None if captured is None else absorbed(self.cut.after, captured, names)
            if captured is None or found is None or first_difference(found, captured) is not None:
                raise
            self.set(_tensor_updates(self.target, self.cut.after, found))

    def set(self, updates: Iterable[Update]) -> None:
        """Set attributes and note what they were."""
        for owner, name, value in updates:
            self.done.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

    def undo(self, count: int) -> None:
        """Give back everything after the first ``count`` changes."""
        for owner, name, value in reversed(self.done[count:]):
            setattr(owner, name, value)
        del self.done[count:]


def _alternatives(updates: OwnUpdates) -> Iterator[list[Update]]:
    """Parts of the updates that may do: without what rests on a number alone, then with one name of it.

    Such an attribute is changed only where the module is wrong without: the examples need not show what
    else it bounds (a longest sequence, a window), and other inputs would then be computed wrongly.
    """
    if not updates.guessed:
        return
    yield updates.stated
    names = dict.fromkeys((type(owner), name) for owner, name, _ in updates.guessed)
    for wanted in names if 1 < len(names) <= _NAMES else ():
        yield [*updates.stated, *(u for u in updates.guessed if (type(u[0]), u[1]) == wanted)]


def _attempt(job: _Job, updates: list[Update], *, last: bool = False) -> list[UnchangedSize]:
    """Change the module and check it; if anything fails it is as it was. Tells what did not follow."""
    begun = len(job.done)
    try:
        layers = layer_sizes(job.target, job.cut)
        job.set(updates)
        tensors = _tensor_updates(job.target, job.cut.before, job.cut.after)
        job.set(tensors)
        # One after the other: a size may be derived from another one.
        for layer in layers:
            update = layer.follow()
            job.set([update] if update else [])
        found = _checked(job, declared_sizes(job.target, job.done[begun:], job.foreign), last=last)
        return [*found, *_unsaved(job.target, tensors)]
    except BaseException:
        job.undo(begun)
        raise


def _checked(job: _Job, declared: Declared, *, last: bool) -> list[UnchangedSize]:
    """Let declared sizes follow and check the module; at ``last`` also without, for its code may need them so."""
    at = len(job.done)
    job.set(declared.updates)
    try:
        job.check()
    except ReplayMismatch as mismatch:
        if not last or not declared.is_read(job.target):
            raise
        job.undo(at)
        try:
            job.check()
        except ReplayMismatch:
            raise mismatch from None
        return [*declared.unchanged, *declared.refused(job.target)]
    return declared.unchanged


def _unsaved(model: nn.Module, tensors: Iterable[Update]) -> Iterator[UnchangedSize]:
    """Tensors that were cut and that no state holds: a module made anew computes other ones."""
    stored = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    paths = {id(module): path for path, module in model.named_modules()}
    why = (
        "the state_dict of the pruned module lacks it, and a module made anew computes it for its own width: "
        "save the whole module with torch.save"
    )
    for owner, name, _ in tensors:
        tensor = getattr(owner, name)  # weights may have taken up a number since
        if id(tensor) not in stored and tensor.is_floating_point():
            place = ".".join(part for part in (paths[id(owner)], name) if part)
            yield UnchangedSize(place, f"a cut buffer of {list(tensor.shape)}", why, "not saved")


def _tensor_updates(model: nn.Module, before: Graph, after: Graph) -> list[Update]:
    """New tensors for every place where a changed param of ``model`` goes by some name."""
    named = tensors_of(model)
    first = dict(named)
    new: dict[int, torch.Tensor] = {}
    for name, param in after.params.items():
        if param.source is not before.params[name].source and name in first:
            new[id(first[name])] = resized(first[name], param)
    updates: list[Update] = []
    for name, tensor in named:
        if id(tensor) in new:
            path, _, leaf = name.rpartition(".")
            updates.append((model.get_submodule(path), leaf, new[id(tensor)]))
    return updates


def resized(old: torch.Tensor, param: Param) -> torch.Tensor:
    """A tensor of the same kind as ``old`` with the data of ``param``."""
    data: Array = np.array(param.read(), order="C")
    new = torch.from_numpy(data).to(dtype=old.dtype, device=old.device)
    if old.dim() == 4 and not old.is_contiguous() and old.is_contiguous(memory_format=torch.channels_last):
        new = new.contiguous(memory_format=torch.channels_last)
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
        vars(new).update(vars(old))
    return new
