"""The table of drivers."""

from __future__ import annotations

from ..ir import Table, configurable

_DRIVERS = Table("driver", "prunepass.drivers", {}, __package__, configurable)


def drivers() -> Table:
    """Drivers by name; other distributions add theirs through ``prunepass.drivers``."""
    return _DRIVERS
