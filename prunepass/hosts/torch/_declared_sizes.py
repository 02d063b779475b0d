"""Sizes that modules and configurations declare and that the cut's own operations do not name.

A number follows where it was built with the same expression as the size of a layer or a tensor: ``self.width = w``
beside ``nn.Linear(w, n)``. What merely equals a cut size stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._session import UnchangedSize
from ._agreement import Agreement, Earlier, Update, Verdict, is_layers_own
from ._constructed import constructed
from ._links import Fields, Link, holders_in, is_size
from ._reads import bounds, mentioned_by_forward, read_elsewhere
from ._twin import twins


@dataclass(frozen=True)
class Declared:
    """Declared sizes after a cut: those that follow, and those for which no value is determined."""

    updates: list[Update]
    unchanged: list[UnchangedSize]

    def is_read(self, model: nn.Module) -> bool:
        """Return whether ``forward`` of some module may read anything of what follows."""
        kinds = {type(module) for module in model.modules()}
        return any(
            name in mentioned_by_forward(kind)
            for owner, name, _ in self.updates
            for kind in ((type(owner),) if isinstance(owner, nn.Module) else kinds)
        )

    def refused(self, model: nn.Module) -> list[UnchangedSize]:
        """Declared sizes as sizes that stay, because the model's own code needs them as they are."""
        why = "the model's own code needs it as it was"
        paths = {id(module): path for path, module in model.named_modules()}
        return [
            UnchangedSize(_place(paths.get(id(owner), ""), name), str(getattr(owner, name)), why)
            for owner, name, _ in self.updates
        ]


def declared_sizes(
    model: nn.Module, done: Sequence[Update], foreign: frozenset[int] = frozenset()
) -> Declared:
    """Declared sizes that follow the cut that ``model`` has been given.

    Args:
        done: what has been set already, with the values from before.
        foreign: identities of objects that the model shares with others and that are therefore not changed.
    """
    earlier = Earlier(done)
    links = [*twins(model), *constructed(model)]
    agreement = Agreement(links, earlier)
    found, settled = Declared([], []), set[tuple[int, str]]()
    for row in _by_attribute(links):
        first, verdicts = row[0][0], [agreement.joint(links) for links in row]
        if is_layers_own(first) or _is_torchs(first.owner) or earlier.is_settled(first.owner, first.name):
            settled.add(first.key)
        elif isinstance(first.owner, nn.Module):
            if _follow([links[0] for links in row], verdicts, found):
                settled.add(first.key)
        else:
            _follow_entry([links[0] for links in row], verdicts, found, agreement, foreign)
    found.unchanged[:0] = _left(model, earlier, settled)
    return found


def foreign_holders(model: nn.Module) -> frozenset[int]:
    """Identities of the configurations that a model keeps."""
    return frozenset(id(holder) for module in model.modules() for holder in holders_in(vars(module)))


def _by_attribute(links: Iterable[Link]) -> Iterator[list[list[Link]]]:
    """Links of one attribute, by its numbers."""
    rows: dict[tuple[int, str], dict[int | None, list[Link]]] = {}
    for link in links:
        rows.setdefault(link.key, {}).setdefault(link.place, []).append(link)
    yield from (list(row.values()) for row in rows.values())


def _follow(row: list[Link], verdicts: list[Verdict], found: Declared) -> bool:
    """Let an attribute of a module follow; whether its value is determined."""
    link = row[0]
    if any(verdict.new is None for verdict in verdicts):
        return False
    new = _with(row, verdicts)
    if new != link.current():
        if link.name in bounds(type(link.owner)):
            return False
        found.updates.append((link.owner, link.name, new))
    return True


def _follow_entry(
    row: list[Link], verdicts: list[Verdict], found: Declared, agreement: Agreement, foreign: frozenset[int]
) -> None:
    """Let an entry of a configuration follow; else say why it cannot."""
    link, current = row[0], row[0].current()
    new = agreement.default(link.expr) if current is None else _with(row, verdicts)
    moved = new is not None and new != current
    whys = [verdict.why for verdict in verdicts] + [agreement.contradictions(each.expr) for each in row]
    why = next((why for why in whys if why and current is not None), "")
    if moved and id(link.owner) in foreign:
        why = "the object is shared with the original module"
    elif moved:
        found.updates.append((Fields(link.owner), link.name, new))
    if why:
        found.unchanged.append(UnchangedSize(_place(link.path, link.name), str(current), why))


def _with(row: Sequence[Link], verdicts: Sequence[Verdict]) -> Any:
    """The attribute with its new numbers; numbers that are not linked, or not determined, stay."""
    current = row[0].current()
    if is_size(current):
        return current if verdicts[0].new is None else verdicts[0].new
    new = list(current)
    for link, verdict in zip(row, verdicts, strict=True):
        if link.place is not None and verdict.new is not None:
            new[link.place] = verdict.new
    return type(current)(new)


def _left(model: nn.Module, earlier: Earlier, settled: set[tuple[int, str]]) -> Iterator[UnchangedSize]:
    """Attributes that equal a size cut in their module, that some method reads, and that nothing determines."""
    moved = _moved(model, earlier)
    for path, module in model.named_modules():
        read = read_elsewhere(type(module)) if path in moved and not _is_torchs(module) else frozenset[str]()
        for name in sorted(read & vars(module).keys()):
            value = vars(module)[name]
            if not is_size(value) or value not in moved[path] or (id(module), name) in settled:
                continue
            if not earlier.is_settled(module, name):
                news = sorted(moved[path][value])
                shown = ", ".join(map(str, news[:4])) + (", ..." if len(news) > 4 else "")
                why = f"nothing tells whether it is the size that is {shown} now"
                yield UnchangedSize(_place(path, name), str(value), why)


def _is_torchs(owner: Any) -> bool:
    return isinstance(owner, nn.Module) and type(owner).__module__.partition(".")[0] == "torch"


def _moved(model: nn.Module, earlier: Earlier) -> dict[str, dict[int, set[int]]]:
    """Old sizes that changed in and below each module, and what they became."""
    paths = {id(module): path for path, module in model.named_modules()}
    found: dict[str, dict[int, set[int]]] = {}
    for owner, old, new in earlier.changes():
        path = paths.get(id(owner))
        while path is not None:
            found.setdefault(path, {}).setdefault(old, set()).add(new)
            path = path.rpartition(".")[0] if path else None
    return found


def _place(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
