"""Replay onto the user's own module: same class, same names, smaller tensors."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ...ir import Array, Graph, Param, UnsupportedError
from .._session import UnchangedSize
from ._agreement import Update
from ._attributes import own_updates
from ._capture import tensors_of
from ._check import check_model
from ._declared_sizes import Declared, declared_sizes, foreign_holders
from ._mismatch import ReplayMismatch
from ._sizes import Facts, layer_sizes

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
    """What a replay gives: the module, and sizes it keeps for which no new value is determined."""

    module: nn.Module
    unchanged: tuple[UnchangedSize, ...]


def replayed(
    model: nn.Module, before: Graph, after: Graph, example_inputs: Any, *, inplace: bool = False
) -> Replayed:
    """Replay as :func:`replay_module`, and tell what did not follow."""
    target = model if inplace else _copied(model)
    foreign = frozenset[int]() if inplace else foreign_holders(model)
    job = _Job(target, Facts(before, after), example_inputs, foreign)
    updates, doubtful = own_updates(target, job.facts)
    for fewer in _fewer(updates, doubtful):
        with suppress(ReplayMismatch):
            return Replayed(target, tuple(_attempt(job, fewer)))
    return Replayed(target, tuple(_attempt(job, updates, last=True)))


@dataclass(frozen=True)
class _Job:
    """What is to be changed, to what, checked with which inputs; and whose objects are not its own."""

    target: nn.Module
    facts: Facts
    example_inputs: Any
    foreign: frozenset[int]

    def check(self) -> None:
        check_model(self.target, self.example_inputs, self.facts.before, self.facts.after)


def _fewer(updates: list[Update], doubtful: list[Update]) -> Iterator[list[Update]]:
    """Parts of ``updates`` that may do: without what rests on a number alone, then with one name of it.

    Such an attribute is changed only where the module is wrong without: the examples need not show what
    else it bounds (a longest sequence, a window), and other inputs would then be computed wrongly.
    """
    if not doubtful:
        return
    yield [update for update in updates if update not in doubtful]
    names = dict.fromkeys((type(owner), name) for owner, name, _ in doubtful)
    for wanted in names if 1 < len(names) <= _NAMES else ():
        yield [u for u in updates if u not in doubtful or (type(u[0]), u[1]) == wanted]


def _attempt(job: _Job, updates: list[Update], *, last: bool = False) -> list[UnchangedSize]:
    """Change the module and check it; if anything fails it is as it was. Tells what did not follow."""
    done: list[Update] = []
    try:
        layers = layer_sizes(job.target, job.facts)
        _set(updates, done)
        _set(_tensor_updates(job.target, job.facts.before, job.facts.after), done)
        # One after the other: a size may be derived from another one.
        for layer in layers:
            update = layer.follow()
            _set([update] if update else [], done)
        return _checked(job, declared_sizes(job.target, done, job.foreign), done, last=last)
    except BaseException:
        _restore(done)
        raise


def _checked(job: _Job, declared: Declared, done: list[Update], *, last: bool) -> list[UnchangedSize]:
    """Let declared sizes follow and check the module; at ``last`` also without, for its code may need them so."""
    at = len(done)
    _set(declared.updates, done)
    try:
        job.check()
    except ReplayMismatch as mismatch:
        if not last or not declared.is_read(job.target):
            raise
        _restore(done[at:])
        del done[at:]
        try:
            job.check()
        except ReplayMismatch:
            raise mismatch from None
        return [*declared.unchanged, *declared.refused(job.target)]
    return declared.unchanged


def _restore(done: list[Update]) -> None:
    for owner, name, value in reversed(done):
        setattr(owner, name, value)


def _copied(model: nn.Module) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return copy.deepcopy(model)
    except Exception as error:  # whatever a user's object raises when it is copied
        raise UnsupportedError(
            f"the module cannot be copied: {type(error).__name__}: {error}",
            advice="use inplace=True, which restores the module if anything fails",
        ) from error


def _set(updates: Iterable[Update], done: list[Update]) -> None:
    """Set attributes and note what they were."""
    for owner, name, value in updates:
        done.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)


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
