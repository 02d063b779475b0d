"""Sizes that a cut changes, by module: attributes of operations and shapes of what modules read and make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from ...ir import Graph, Node, rule_of
from ._layers import sources_for

Size = int | tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """A size attribute of one operation before and after the cut; the two may be equal."""

    node: Node
    name: str
    old: Size
    new: Size

    def entries(self) -> tuple[tuple[int, int], ...]:
        """``(old, new)`` of every number."""
        if isinstance(self.old, tuple) and isinstance(self.new, tuple):
            return tuple(zip(self.old, self.new, strict=True))
        return ((self.old, self.new),) if isinstance(self.old, int) and isinstance(self.new, int) else ()


class CutSizes:
    """Changes of a cut, looked up by module path."""

    def __init__(self, before: Graph, after: Graph) -> None:
        self.before, self.after = before, after
        self.nodes: dict[str, list[Node]] = {}
        self.changes: dict[str, list[Change]] = {}
        for old, new in zip(before.nodes, after.nodes, strict=True):
            path = old.origin.path
            self.nodes.setdefault(path, []).append(old)
            for name in rule_of(before, old).sizes:
                if name in old.attrs and name in new.attrs:
                    self.changes.setdefault(path, []).append(
                        Change(old, name, old.attrs[name], new.attrs[name])
                    )

    def shape_pairs(self, path: str) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Shapes before and after of every tensor that operations of a module read or make."""
        for node in self.nodes.get(path, ()):
            for name in (*node.inputs, *node.outputs):
                if name is not None:
                    yield self.before.tensor(name).shape, self.after.tensor(name).shape

    def input_shape(self, path: str, *, new: bool) -> tuple[int, ...] | None:
        """Shape of the first operand of the module's first operation."""
        for node in self.nodes.get(path, ()):
            if node.inputs and node.inputs[0] is not None:
                return (self.after if new else self.before).tensor(node.inputs[0]).shape
        return None


@dataclass(frozen=True)
class LayerSize:
    """One size attribute of a torch.nn module, and how to derive it anew once the weights are written."""

    cut: CutSizes
    path: str
    module: nn.Module
    name: str
    source: str

    def follow(self) -> tuple[nn.Module, str, Any] | None:
        """Module, attribute and new value; None where it stays."""
        current = getattr(self.module, self.name)
        derived = self.derive(new=True)
        if derived is None or derived == _plain(current):
            return None
        new = list(derived) if isinstance(current, list) and isinstance(derived, tuple) else derived
        return self.module, self.name, new

    def derive(self, *, new: bool) -> Size | None:
        """The attribute's value as the tensors and operations before or after the cut have it."""
        current = _plain(getattr(self.module, self.name))
        if self.source in ("node", "last"):
            return self._from_operations(current, new=new)
        for sign in "*/":
            left, found, right = self.source.partition(sign)
            if found and right:
                value, other = self._lookup(left, current, new=new), self._lookup(right, current, new=new)
                if not isinstance(value, int) or not isinstance(other, int) or other == 0:
                    return None
                return value * other if sign == "*" else value // other
        return self._lookup(self.source, current, new=new)

    def _lookup(self, source: str, current: Size, *, new: bool) -> Size | None:
        name, _, axis = source.partition(".")
        if not axis:
            return _size(getattr(self.module, name, None))
        owner = self.cut.input_shape(self.path, new=new) if name == "input" else None
        if name != "input":
            shape = getattr(getattr(self.module, name, None), "shape", None)
            owner = None if shape is None else tuple(shape)
        if owner is None:
            return None
        if axis == "*":
            return owner[-len(current) :] if isinstance(current, tuple) else None
        return owner[int(axis)] if int(axis) < len(owner) else None

    def _from_operations(self, current: Size, *, new: bool) -> Size | None:
        entries = [
            entry
            for change in self.cut.changes.get(self.path, ())
            for entry in (change.entries()[-1:] if self.source == "last" else change.entries())
            if entry[0] == current
        ]
        moved = {value for _, value in entries if value != current}
        if not new or not moved:
            return current if entries else None
        return moved.pop() if len(moved) == 1 else None


def _size(value: Any) -> Size | None:
    found = _plain(value)
    return found if isinstance(found, (int, tuple)) else None


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def layer_sizes(model: nn.Module, cut: CutSizes) -> list[LayerSize]:
    """Size attributes of torch.nn modules that hold, before the cut, what the table says."""
    found = []
    for path, module in model.named_modules(remove_duplicate=False):
        for name, sources in sources_for(type(module)).items():
            for source in sources if hasattr(module, name) else ():
                size = LayerSize(cut, path, module, name, source)
                if size.derive(new=False) == _plain(getattr(module, name)):
                    found.append(size)
                    break
    return found
