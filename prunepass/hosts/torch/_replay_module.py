"""Replay onto the user's own module: same class, same names, smaller tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from ...ir import Array, Graph, Param
from ._absorb import absorbed
from ._attributes import OwnUpdates, Update, own_updates
from ._check import check_model
from ._copy import copied
from ._export import export
from ._inputs import tensors_of
from ._kept import Kept, put
from ._lock import locked
from ._mismatch import ReplayMismatch, first_difference
from ._sizes import Facts, layer_sizes
from ._trace import Trace

# Each name that is tried by itself costs a capture.
_NAMES = 4


@locked
def replay_module(
    model: nn.Module,
    before: Graph,
    after: Graph,
    example_inputs: Any,
    *,
    inplace: bool | Kept = False,
    trace: Trace | None = None,
) -> nn.Module:
    """Write the tensors that changed from ``before`` to ``after`` and let sizes kept as attributes follow.

    The result is captured again and must be ``after``, node by node. Shared tensors stay shared, parameters
    keep ``requires_grad`` and lose their gradients, all other state stays.

    Args:
        model: the module that ``before`` was captured from.
        inplace: change ``model`` itself; if any step fails it is as it was. What it held may be given, to be
            told what is changed, for later steps that fail.
        trace: of ``model`` on these inputs, where there is one already.

    Raises:
        ReplayMismatch: the module's own code contradicts the cut; says where and carries remedies.
        UnsupportedError: the module cannot be copied.
    """
    if trace is None:
        trace = Trace()
        export(model, example_inputs, trace)
    target = model if inplace else copied(model)
    facts, done = Facts(before, after), inplace.changes if isinstance(inplace, Kept) else []
    updates = own_updates(target, facts, trace)
    for fewer in _fewer(updates):
        with suppress(ReplayMismatch):
            _attempt(target, fewer, facts, example_inputs, done)
            return target
    try:
        _attempt(target, [*updates.stated, *updates.guessed], facts, example_inputs, done)
    except ReplayMismatch as mismatch:
        raise (updates.turned or mismatch) from mismatch
    return target


def _fewer(updates: OwnUpdates) -> Iterator[list[Update]]:
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


def _attempt(
    target: nn.Module, updates: list[Update], facts: Facts, example_inputs: Any, done: list[Update]
) -> None:
    """Change ``target`` and check it; if anything fails it is as it was. Changes are noted in ``done``."""
    begun = len(done)
    try:
        layers = layer_sizes(target, facts)
        _set(updates, done)
        _set(_tensor_updates(target, facts.before, facts.after), done)
        # One after the other: a size may be derived from another one.
        for layer in layers:
            update = layer.follow()
            _set([update] if update else [], done)
        _hold(target, facts, example_inputs, done)
    except BaseException:
        for owner, name, value in reversed(done[begun:]):
            put(owner, name, value)
        raise


def _hold(target: nn.Module, facts: Facts, example_inputs: Any, done: list[Update]) -> None:
    """Check ``target``; numbers that it computes from widths may change where weights can make that good."""
    try:
        check_model(target, example_inputs, facts.before, facts.after)
    except ReplayMismatch as mismatch:
        found = None if mismatch.captured is None else absorbed(facts.after, mismatch.captured)
        if found is None or first_difference(found, mismatch.captured) is not None:  # type: ignore[arg-type]
            raise
        _set(_tensor_updates(target, facts.after, found), done)


def _set(updates: Iterable[Update], done: list[Update]) -> None:
    """Set attributes and note what they were."""
    for owner, name, value in updates:
        done.append((owner, name, getattr(owner, name)))
        put(owner, name, value)


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
