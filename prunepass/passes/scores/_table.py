"""The table of scores."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from ...ir import UsageError
from ._protocol import Score

_BUILT_IN = {
    "bn_scale": "._bn_scale:BnScale",
    "dfpc": "._dfpc:Dfpc",
    "l1": "._norms:L1",
    "l2": "._norms:L2",
    "random": "._random:Random",
    "stade": "._stade:Stade",
    "taylor": "._taylor:Taylor",
    "variance": "._variance:Variance",
    "wanda": "._stade:Wanda",
}
_GROUP = "prunepass.scores"


@cache
def _added() -> dict[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=_GROUP)}


def names() -> tuple[str, ...]:
    """Names of all known scores."""
    return tuple(sorted({*_BUILT_IN, *_added()}))


def get(name: str) -> type[Score]:
    """The class of the score called ``name``; a built-in name cannot be taken over.

    Raises:
        UsageError: no score has that name, or the distribution that adds it is broken.
    """
    place = _BUILT_IN.get(name) or _added().get(name)
    if place is None:
        raise UsageError(f"there is no score '{name}'", advice=f"there are {', '.join(names())}")
    module, _, attribute = place.partition(":")
    try:
        found: type[Score] = getattr(
            import_module(module, __package__ if module.startswith(".") else None), attribute
        )
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"score '{name}' does not load: {error}", advice="install its distribution again"
        ) from error
    return found
