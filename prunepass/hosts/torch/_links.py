"""Links between the sizes of one model: the expressions that built them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ._expressions import Expr

Row = tuple[int, ...]
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type, torch.dtype, torch.device, torch.Tensor)


@dataclass(frozen=True)
class Link:
    """One number that a model keeps, and the expression that it was built with.

    Attributes:
        owner, name, place: the attribute, and the position in it where it is a row of numbers or a tensor's
            shape.
        path: where the owner is found, for messages.
    """

    owner: Any
    name: str
    place: int | None
    expr: Expr
    path: str

    @property
    def key(self) -> tuple[int, str]:
        return id(self.owner), self.name

    def having(self, expr: Expr) -> Link:
        """The same number with another expression."""
        return replace(self, expr=expr)

    def current(self) -> Any:
        """The attribute as it is now."""
        return value_of(self.owner, self.name)

    def size(self, value: Any) -> int | None:
        """The number in a value of the attribute."""
        row, place = row_of(value), self.place or 0
        return row[place] if row is not None and place < len(row) else None

    def __str__(self) -> str:
        where = f"{self.path}.{self.name}" if self.path else self.name
        return where if self.place is None else f"{where}[{self.place}]"


def value_of(owner: Any, name: str) -> Any:
    """The value that a module or a configuration keeps under a name."""
    return getattr(Fields(owner) if is_holder(owner) else owner, name)


def is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def row_of(value: Any) -> Row | None:
    """The sizes in an attribute: of a tensor its shape; None where it keeps anything else."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if is_size(value):
        return (int(value),)
    if isinstance(value, (tuple, list)) and value and all(is_size(item) for item in value):
        return tuple(value)
    return None


def is_holder(value: Any) -> bool:
    """Return whether a value is an object of the user's own that may keep sizes: a configuration."""
    if isinstance(value, (nn.Module, *_PLAIN)) or callable(value):
        return False
    return isinstance(value, dict) or (hasattr(value, "__dict__") and type(value).__module__ != "builtins")


def fields_of(holder: Any) -> Mapping[str, Any]:
    """Fields of a configuration, by name."""
    if isinstance(holder, dict):
        return {name: value for name, value in holder.items() if isinstance(name, str)}
    found: dict[str, Any] = vars(holder)
    return found


def holders_in(space: Mapping[str, Any]) -> Iterator[Any]:
    """Configurations among values, and in those."""
    stack, seen = list(space.values()), set[int]()
    while stack:
        value = stack.pop()
        if is_holder(value) and id(value) not in seen:
            seen.add(id(value))
            yield value
            stack.extend(fields_of(value).values())


class Fields:
    """A configuration whose entries are set like attributes, whether it is a mapping, frozen, or neither."""

    def __init__(self, holder: Any) -> None:
        vars(self)["holder"] = holder

    def __getattr__(self, name: str) -> Any:
        holder = vars(self)["holder"]
        return holder[name] if isinstance(holder, dict) else getattr(holder, name)

    def __setattr__(self, name: str, value: Any) -> None:
        holder = vars(self)["holder"]
        if not isinstance(holder, dict):
            object.__setattr__(holder, name, value)
            return
        dict.__setitem__(holder, name, value)
        mirror: MutableMapping[str, Any] = getattr(holder, "__dict__", {})
        if name in mirror:  # some mappings give their entries as attributes as well
            mirror[name] = value
