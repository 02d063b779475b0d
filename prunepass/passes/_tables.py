"""The table of passes."""

from __future__ import annotations

from ..ir import Table, configurable

_STANDARD = ("couple", "score", "compensate", "cut", "verify")
_PASSES = Table(
    "pass",
    "prunepass.passes",
    {
        **{name: f"._standard:{name.title()}" for name in _STANDARD},
        "select": "._select:Select",
        "reconstruct": "._repairs:Reconstruct",
    },
    __package__,
    configurable,
)


def passes() -> Table:
    """Passes by name; other distributions add theirs through ``prunepass.passes``."""
    return _PASSES
