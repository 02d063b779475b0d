"""Sizes that the user's own modules keep as attributes, and what they become after a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ._agreement import Update
from ._contradictions import contradiction, turned
from ._layers import sources_for
from ._links import Fields
from ._mismatch import ReplayMismatch
from ._sizes import Change, CutSizes, Size
from ._solve import Entry, Solution, solve
from ._statement import attributes_read
from ._trace import Trace
from ._tracked import Attribute

INTERNAL = frozenset(vars(nn.Module()))
_Wanted = dict[Size, list[Entry]]


@dataclass(frozen=True)
class OwnUpdates:
    """Attributes outside torch.nn's table that follow the sizes of their operations.

    Attributes:
        stated: what the model's code did with them tells their values.
        guessed: they have the value of a size that changes; nothing else speaks for it.
        turned: raised where the module is wrong with these updates: comparisons turn out otherwise.
    """

    stated: list[Update]
    guessed: list[Update]
    turned: ReplayMismatch | None


def own_updates(
    model: nn.Module, cut: CutSizes, trace: Trace, foreign: frozenset[int] = frozenset()
) -> OwnUpdates:
    """New values of the numbers that ``model`` keeps.

    Where the trace tells what a size was computed from, its attributes follow. Sizes that it does not explain
    change every attribute that equals the old size, when all changed operations of the module agree on one
    new size; what the module itself does not keep is looked for in the modules around it.

    Args:
        foreign: identities of objects that the model shares with others and that are therefore not changed.

    Raises:
        ReplayMismatch: operations want one attribute to become different sizes, or the source writes a size
            as a number.
    """
    solution = solve(model, cut, trace)
    mismatch = contradiction(model, cut, solution, trace)
    if mismatch is not None:
        raise mismatch
    # Where the code's own calls and questions show what a number is for, its value is no hint.
    guessed, seen = list[Update](), trace.attributes.union(solution.wanted)
    for path in cut.nodes:
        module = model.get_submodule(path)
        if sources_for(type(module)) and type(module).__module__.startswith("torch.nn."):
            continue
        wish = _Wish(module, path, solution, seen)
        rest = [change for change in cut.changes.get(path, ()) if not wish.accepts(change)]
        guessed += [*wish.updates(), *_shape_updates(wish, cut), *_from_around(model, rest, wish)]
    stated = list(stated_updates(model, solution, foreign))
    guessed = [one for one in guessed if not any(_same(one, other) for other in stated)]
    return OwnUpdates(stated, guessed, turned(cut.before, solution))


def stated_updates(model: nn.Module, solution: Solution, foreign: frozenset[int]) -> Iterator[Update]:
    """The attributes that the solution tells, rows of numbers as a whole and in their own type.

    What is told to stay is set as it is: nothing that was built alike may change it.
    """
    rows: dict[tuple[str, tuple[str, ...], str], dict[int | None, int]] = {}
    for at, value in solution.values.items():
        rows.setdefault((at.path, at.inside, at.name), {})[at.index] = value
    for (path, inside, name), entries in rows.items():
        holder = owner_of(model, path, inside)
        if id(holder) in foreign:
            continue
        owner, current = Fields(holder) if inside else holder, vars(holder)[name]
        if None in entries:
            yield owner, name, entries[None]
            continue
        new = type(current)(entries.get(i, one) for i, one in enumerate(current))
        if new != current or len(entries) == len(current):
            yield owner, name, new


def owner_of(model: nn.Module, path: str, inside: Sequence[str]) -> Any:
    """A module, or the object beside it that names lead to."""
    owner: Any = model.get_submodule(path)
    for name in inside:
        owner = vars(owner)[name]
    return owner


def _same(one: Update, other: Update) -> bool:
    return one[0] is other[0] and one[1] == other[1]


def size_attributes(module: nn.Module) -> dict[str, Size]:
    """Whole numbers and rows of them that ``module`` keeps and that its methods read; lists as tuples."""
    read = attributes_read(type(module))
    found: dict[str, Size] = {}
    for name, value in vars(module).items():
        if name in INTERNAL or (read is not None and name not in read):
            continue
        if _is_size(value):
            found[name] = value
        elif isinstance(value, (tuple, list)) and value and all(_is_size(item) for item in value):
            found[name] = tuple(value)
    return found


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass
class _Wish:
    """Changes of one module's attributes that its unexplained operations ask for."""

    module: nn.Module
    path: str
    solution: Solution
    seen: frozenset[Attribute]
    loose: dict[int, _Wanted] = field(default_factory=dict)
    rows: dict[tuple[int, ...], _Wanted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attributes = size_attributes(self.module)
        self.settled = {one.name for one in self.seen if one.path == self.path and not one.inside}

    def accepts(self, change: Change) -> bool:
        """Take note of ``change``; whether attributes of this module account for all of it."""
        known, settled = set(self.attributes.values()), True
        for index, (old, new) in enumerate(change.entries()):
            entry = (change.node, change.name, index)
            if old != new and (change.node.name, change.name, index) not in self.solution.told:
                self.loose.setdefault(old, {}).setdefault(new, []).append(entry)
                settled = settled and old in known
                if isinstance(change.old, tuple) and isinstance(change.new, tuple):
                    self.rows.setdefault(change.old, {}).setdefault(change.new, []).append(entry)
        return settled

    def updates(self) -> Iterator[Update]:
        """The attributes that change; one that two sizes want stays, and the check tells whether it may."""
        for name, value in self.attributes.items():
            wanted = self._wanted(name, value)
            if len(wanted) == 1:
                yield from self.set(name, next(iter(wanted)))

    def set(self, name: str, new: Size) -> Iterator[Update]:
        """The update of one attribute, in its own type."""
        if new != self.attributes[name]:
            current = getattr(self.module, name)
            yield (
                self.module,
                name,
                list(new) if isinstance(current, list) and isinstance(new, tuple) else new,
            )

    def _wanted(self, name: str, value: Size) -> _Wanted:
        if name in self.settled or any(self.attributes.get(other) == value for other in self.settled):
            return {}
        return self.loose.get(value, {}) if isinstance(value, int) else self._row(value)

    def _row(self, value: tuple[int, ...]) -> _Wanted:
        """New values of a row of numbers that stands, whole, somewhere in a row that changes.

        A number that changes there and is an attribute by itself is that one: the row stands there by chance.
        """
        found: _Wanted = {}
        single = set(self.attributes.values())
        for old, news in self.rows.items():
            for at in range(len(old) - len(value) + 1 if len(value) > 1 else 0):
                if old[at : at + len(value)] == value:
                    for new, entries in news.items():
                        row = new[at : at + len(value)] if isinstance(new, tuple) else value
                        moved = {one for one, other in zip(value, row, strict=True) if one != other}
                        if moved and not moved & single:
                            found.setdefault(row, []).extend(entries)
        return found


def _from_around(model: nn.Module, changes: Sequence[Change], inner: _Wish) -> Iterator[Update]:
    """A size that a module around hands down: the nearest one that keeps it and reads it in a method."""
    path = inner.path
    while path and changes:
        path = path.rpartition(".")[0]
        wish = _Wish(model.get_submodule(path), path, inner.solution, inner.seen)
        changes = [change for change in changes if not wish.accepts(change)]
        yield from wish.updates()


def _shape_updates(wish: _Wish, cut: CutSizes) -> Iterator[Update]:
    """Attributes that equal the size of axes which all change alike, where no operation states that size."""
    moved: dict[int, set[int]] = {}
    for old, new in cut.shape_pairs(wish.path):
        for one, other in zip(old, new, strict=True):
            moved.setdefault(one, set()).add(other)
    stated = {old for change in cut.changes.get(wish.path, ()) for old, _ in change.entries()}
    for name, value in wish.attributes.items():
        if name in wish.settled:
            continue
        numbers = (value,) if isinstance(value, int) else value
        news = [moved.get(number, {number}) for number in numbers]
        if not stated & set(numbers) and all(len(new) == 1 for new in news):
            row = tuple(next(iter(new)) for new in news)
            yield from wish.set(name, row[0] if isinstance(value, int) else row)
