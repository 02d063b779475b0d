"""Trace of the sizes in a model's code, noted while it is captured.

Numbers that modules keep (and that objects beside them keep, such as a configuration) are replaced by tracked
ones for the one run that a capture takes; so are the sizes that the code asks tensors for. Whatever way a
number takes through local names, helper functions and arithmetic, the calls of torch that it arrives in tell
its sources.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import FrameType, ModuleType
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ._entered import modules_entered
from ._layers import sources_for
from ._source import Frame, is_own, is_user
from ._tracked import (
    Attribute,
    Axis,
    Comparison,
    Expression,
    Made,
    Tracked,
    Watcher,
    expression_of,
    rows_in,
    sources_of,
)

Place = tuple[str, str]
"""Module path and ``file.py:12``."""
_INTERNAL = frozenset(vars(nn.Module()))
_DEEP = 2


@dataclass
class Trace:
    """Observations of one run.

    Attributes:
        rows: by module path and source line the rows of numbers in the calls of torch made there.
        files: path of the file behind each source line.
        compared: numbers that the code compared.
    """

    rows: dict[Place, list[tuple[Expression, ...]]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    compared: list[Comparison] = field(default_factory=list)

    @property
    def attributes(self) -> frozenset[Attribute]:
        """The attributes whose numbers arrived in a call or a comparison."""
        found = [one for rows in self.rows.values() for row in rows for one in row]
        found += [side for one in self.compared for side in (one.left, one.right)]
        sources = (source for one in found for source in sources_of(one))
        return frozenset(source for source in sources if isinstance(source, Attribute))

    def add(self, other: Trace) -> None:
        """Add the record of another run of the same model."""
        for place, rows in other.rows.items():
            self.rows.setdefault(place, []).extend(rows)
        self.files.update(other.files)
        self.compared.extend(other.compared)


@contextmanager
def tracing(model: nn.Module, trace: Trace) -> Iterator[None]:
    """Fill ``trace`` from one run of ``model`` inside the block; nothing of it stays in the model."""
    watcher = Watcher(trace.compared)
    run = _Run(model, trace, watcher)
    try:
        with _tracked(model, watcher), modules_entered(run.entered), run:
            yield
    finally:
        watcher.on = False
        _forget(model)


class _Run(TorchFunctionMode):
    """Notes the numbers in every call of torch, and answers questions for sizes with tracked numbers."""

    def __init__(self, model: nn.Module, trace: Trace, watcher: Watcher) -> None:
        super().__init__()
        self._trace, self._watcher = trace, watcher
        self._names = {module: name for name, module in model.named_modules()}
        self.entered: list[nn.Module] = []
        self._made: dict[int, tuple[ReferenceType[torch.Tensor], Made]] = {}
        params = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for name, tensor in params.items():
            self._note(tensor, Made("", "", _shape(tensor), name))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not self.entered:  # torch's own work before and after the run, far more than that of the model
            return func(*args, **(kwargs or {}))
        given = dict(kwargs or {})
        made = func(*args, **given)
        if args and isinstance(args[0], torch.Tensor) and func in _SIZES:
            return self._sizes(args[0], made, given["dim"] if "dim" in given else args[-1])
        place = self._place()
        rows = [tuple(map(expression_of, row)) for row in rows_in((*args, *given.values()))]
        self._trace.rows.setdefault(place, []).extend(rows)
        for tensor in pytree.tree_leaves(made) if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor, Made(*place, _shape(tensor)))
        return made

    def _note(self, tensor: torch.Tensor, made: Made) -> None:
        known = self._made.get(id(tensor))
        if known is None or known[0]() is not tensor:
            self._made[id(tensor)] = ref(tensor), made

    def _sizes(self, tensor: torch.Tensor, made: Any, axis: Any) -> Any:
        """The sizes, or the one of an axis, as tracked numbers; symbolic ones are for the capture to follow."""
        known = self._made.get(id(tensor))
        where = known[1] if known is not None and known[0]() is tensor else Made("", "", _shape(tensor))
        if isinstance(made, torch.Size):
            whole: list[Any] = list(made)
            return torch.Size([self._axis(where, i, size) for i, size in enumerate(whole)])
        return self._axis(where, int(axis) % max(tensor.dim(), 1), made)

    def _axis(self, tensor: Made, index: int, size: Any) -> Any:
        return Tracked(size, Axis(tensor, index, size), self._watcher) if isinstance(size, int) else size

    def _place(self) -> Place:
        path = self._names.get(self.entered[-1], "") if self.entered else ""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and not is_user(frame.f_code.co_filename):
            # Beyond this package's own frames stands who called it.
            frame = None if is_own(frame.f_code.co_filename) else frame.f_back
        if frame is None:
            return path, ""
        line = str(Frame(frame.f_code.co_filename, frame.f_lineno))
        self._trace.files[line] = frame.f_code.co_filename
        return path, line


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    sizes: list[Any] = list(tensor.shape)
    return tuple(int(size) if isinstance(size, int) else -1 for size in sizes)


_SIZES: frozenset[Callable[..., Any]] = frozenset(
    (torch.Tensor.shape.__get__, torch.Tensor.size)  # type: ignore[attr-defined]
)


@contextmanager
def _tracked(model: nn.Module, watcher: Watcher) -> Iterator[None]:
    """Numbers kept by ``model`` as tracked ones, and as they were afterwards."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for path, inside, owner in _owners(model):
            for name, value in _numbers(owner):
                made = _tracking(Attribute(path, inside, name, None, 0), value, watcher)
                before.append((vars(owner), name, value))
                vars(owner)[name] = made
        yield
    finally:
        for kept, name, value in reversed(before):
            kept[name] = value


def _tracking(at: Attribute, value: Any, watcher: Watcher) -> Any:
    def one(number: int, index: int | None) -> Tracked:
        return Tracked(number, Attribute(at.path, at.inside, at.name, index, number), watcher)

    if isinstance(value, int):
        return one(value, None)
    return type(value)(one(number, index) for index, number in enumerate(value))


def _owners(model: nn.Module) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Modules and the plain objects that they keep, each once, with the way there."""
    seen: set[int] = set()
    waiting = [(path, (), module) for path, module in model.named_modules()]
    while waiting:
        path, inside, owner = waiting.pop(0)
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        yield path, inside, owner
        for name, value in list(vars(owner).items()) if len(inside) < _DEEP else ():
            if name not in _INTERNAL and _is_plain_object(value):
                waiting.append((path, (*inside, name), value))  # type: ignore[arg-type]


def _is_plain_object(value: Any) -> bool:
    kinds = (nn.Module, torch.Tensor, type, ModuleType, Enum)
    home = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and not isinstance(value, kinds) and home not in ("torch", "builtins")


def _numbers(owner: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that may be sizes; of a layer of torch.nn those that the table of layers knows."""
    table = sources_for(type(owner)) if type(owner).__module__.startswith("torch.nn.") else None
    if table is None and type(owner).__module__.startswith("torch.") and isinstance(owner, nn.Module):
        return
    for name, value in list(vars(owner).items()):
        if name in _INTERNAL or (table is not None and name not in table):
            continue
        # Exactly int: flags and enumerations are numbers too, and sizes are neither.
        if type(value) is int or (type(value) in (tuple, list) and value and {*map(type, value)} == {int}):
            yield name, value


def _forget(model: nn.Module) -> None:
    """Plain numbers in place of tracked ones that the model has kept for itself while it ran."""
    for _, _, owner in _owners(model):
        for name, value in list(vars(owner).items()):
            if isinstance(value, Tracked):
                vars(owner)[name] = int(value)
            elif type(value) in (tuple, list, torch.Size) and any(isinstance(one, Tracked) for one in value):
                vars(owner)[name] = type(value)(
                    int(one) if isinstance(one, Tracked) else one for one in value
                )
