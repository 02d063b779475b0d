"""The table of drivers."""

from __future__ import annotations

from ..ir import Table, configurable

_BUILT_IN = {name: f"._{name}:{name.title()}" for name in ("once", "latency", "bisect", "iterate")}
_DRIVERS = Table("driver", "prunepass.drivers", _BUILT_IN, __package__, configurable)


def drivers() -> Table:
    """Drivers by name; other distributions add theirs through ``prunepass.drivers``."""
    return _DRIVERS
