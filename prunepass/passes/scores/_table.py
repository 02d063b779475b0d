"""The table of scores."""

from __future__ import annotations

from ...ir import Table, configurable
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
_SCORES = Table("score", "prunepass.scores", _BUILT_IN, __package__, configurable)


def scores() -> Table:
    """Scores by name; other distributions add theirs through ``prunepass.scores``."""
    return _SCORES


def names() -> tuple[str, ...]:
    """Names of all known scores."""
    return tuple(_SCORES)


def get(name: str) -> type[Score]:
    """The class of the score called ``name``.

    Raises:
        UsageError: no score has that name, or the distribution that adds it is broken.
    """
    found: type[Score] = _SCORES[name]
    return found
