"""Sizes that the user's own modules keep as attributes, and what they become after a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ...ir import Node
from ._layers import sources_for
from ._mismatch import Remedy, ReplayMismatch
from ._remedies import equal_sizes
from ._sizes import Change, Facts, Size
from ._statement import attributes_at, attributes_read

Update = tuple[nn.Module, str, Any]
INTERNAL = frozenset(vars(nn.Module()))
Entry = tuple[Node, str, int]
"""One number among the size attributes of an operation."""
_Wanted = dict[Size, list[Entry]]


def own_updates(model: nn.Module, facts: Facts) -> tuple[list[Update], list[Update]]:
    """Attributes of modules outside torch.nn's table that follow the sizes of their operations.

    A number that stands in the call as ``self.name`` (or in proportion to it) names its attribute; otherwise
    every attribute that equals the old size follows, when all changed operations of the module agree on one
    new size. What the module itself does not keep is looked for in the modules around it.

    Returns:
        Updates, and those among them that rest on nothing but a number: no operation names the attribute.

    Raises:
        ReplayMismatch: operations want one attribute to become different sizes.
    """
    updates, doubtful = list[Update](), list[Update]()
    contradictions: list[_Contradiction] = []
    for path in facts.nodes:
        module = model.get_submodule(path)
        if sources_for(type(module)) and type(module).__module__.startswith("torch.nn."):
            continue
        wish = _Wish(module, path)
        rest = [change for change in facts.changes.get(path, ()) if not wish.hear(change)]
        stated = list(wish.updates(contradictions))
        guessed = [*_shape_updates(wish, facts), *_from_around(model, path, rest)]
        updates += [*stated, *guessed]
        doubtful += [*(update for update in stated if wish.doubts(update[1])), *guessed]
    if contradictions:
        raise _mismatch(facts, contradictions)
    return updates, doubtful


@dataclass(frozen=True)
class _Contradiction:
    module: nn.Module
    path: str
    name: str
    wanted: _Wanted

    def __str__(self) -> str:
        current, kind = getattr(self.module, self.name), type(self.module).__name__
        places = " and ".join(f"{new} at {entries[0][0].origin.line}" for new, entries in self.wanted.items())
        return f"attribute '{self.name}' of {kind} is {current} and would have to become {places}"


def _mismatch(facts: Facts, contradictions: Sequence[_Contradiction]) -> ReplayMismatch:
    """One error for all of them; the remedy makes the numbers of each equal."""
    pairs = [
        equal_sizes(
            facts.before, [entry for entries in found.wanted.values() for entry in entries], str(found)
        )
        for found in contradictions
    ]
    first = next(iter(contradictions[0].wanted.values()))[0][0]
    return ReplayMismatch(
        str(contradictions[0]),
        node=first.name,
        where=first.origin,
        remedies=(
            Remedy(ties=tuple(tie for ties, _ in pairs for tie in ties.ties)),
            Remedy(pins=tuple(pin for _, pins in pairs for pin in pins.pins)),
        ),
    )


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
    """What the operations of one module want its attributes to become."""

    module: nn.Module
    path: str
    named: dict[str, _Wanted] = field(default_factory=dict)
    loose: dict[int, _Wanted] = field(default_factory=dict)
    rows: dict[tuple[int, ...], _Wanted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attributes = size_attributes(self.module)

    def hear(self, change: Change) -> bool:
        """Take note of ``change``; whether attributes of this module account for all of it."""
        entries = change.entries()
        sizes = tuple(old for old, _ in entries)
        names = attributes_at(type(self.module), change.node.origin.line, sizes)
        known = set(self.attributes.values())
        settled = True
        for index, (name, (old, new)) in enumerate(zip(names, entries, strict=True)):
            entry = (change.node, change.name, index)
            value = self._scaled(name, old, new) if name else None
            if name and value is not None:
                self.named.setdefault(name, {}).setdefault(value, []).append(entry)
            elif old != new and name is None:
                self.loose.setdefault(old, {}).setdefault(new, []).append(entry)
                settled = settled and old in known
        if isinstance(change.old, tuple) and isinstance(change.new, tuple) and change.old != change.new:
            self.rows.setdefault(change.old, {}).setdefault(change.new, []).append(
                (change.node, change.name, 0)
            )
        return settled

    def _scaled(self, name: str, old: int, new: int) -> int | None:
        """What the attribute called ``name`` becomes when ``old``, a multiple or part of it, becomes ``new``.

        One that stays says nothing unless it is the attribute itself: it may be of another call of the line.
        """
        value = self.attributes.get(name)
        if value == old:
            return new
        if not isinstance(value, int) or old in (0, new) or (value % old and old % max(value, 1)):
            return None
        scaled, rest = divmod(value * new, old)
        return None if rest else scaled

    def updates(self, contradictions: list[_Contradiction] | None) -> Iterator[Update]:
        """The attributes that change; those that cannot stay, and are noted where anyone wants to know."""
        for name, value in self.attributes.items():
            wanted = self._wanted(name, value)
            if len(wanted) == 1:
                yield from self.set(name, next(iter(wanted)))
            elif wanted and contradictions is not None:
                contradictions.append(_Contradiction(self.module, self.path, name, wanted))

    def doubts(self, name: str) -> bool:
        """Whether nothing names it: it only has the value of a size that changes."""
        return name not in self.named

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
        if name in self.named:
            return self.named[name]
        if any(self.attributes[other] == value for other in self.named):
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


def _from_around(model: nn.Module, path: str, changes: Sequence[Change]) -> Iterator[Update]:
    """A size that a module around hands down: the nearest one that keeps it and reads it in a method."""
    while path and changes:
        path = path.rpartition(".")[0]
        wish = _Wish(model.get_submodule(path), path)
        changes = [change for change in changes if not wish.hear(change)]
        yield from wish.updates(None)


def _shape_updates(wish: _Wish, facts: Facts) -> Iterator[Update]:
    """Attributes that equal the size of axes which all change alike, where no operation states that size."""
    moved: dict[int, set[int]] = {}
    for old, new in facts.shape_pairs(wish.path):
        for one, other in zip(old, new, strict=True):
            moved.setdefault(one, set()).add(other)
    stated = {old for change in facts.changes.get(wish.path, ()) for old, _ in change.entries()}
    for name, value in wish.attributes.items():
        numbers = (value,) if isinstance(value, int) else value
        news = [moved.get(number, {number}) for number in numbers]
        if not stated & set(numbers) and all(len(new) == 1 for new in news):
            row = tuple(next(iter(new)) for new in news)
            yield from wish.set(name, row[0] if isinstance(value, int) else row)
