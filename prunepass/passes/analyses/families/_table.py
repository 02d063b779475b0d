"""The table of families."""

from __future__ import annotations

from ....ir import Table, configurable
from ._form import Form
from ._protocol import Family

_NAMES = ("leaves", "strokes", "fields", "tones", "vectors", "tokens", "noise")
_FAMILIES = Table(
    "family of inputs",
    "prunepass.families",
    {name: f"._{name}:{name.title()}" for name in _NAMES},
    __package__,
    configurable,
)


def families() -> Table:
    """Families by name; other distributions add theirs through ``prunepass.families``."""
    return _FAMILIES


def fitting(form: Form) -> tuple[Family, ...]:
    """Families that an input of this form can take, the usual one first."""
    made: list[Family] = [_FAMILIES[name]() for name in _FAMILIES]
    fit = [(one.suits(form), one) for one in made]
    return tuple(one for much, one in sorted(fit, key=lambda pair: -pair[0]) if much > 0)
