"""Times of steps over several inferences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from ._protocol import LayerTime


def layer_times(inferences: Sequence[Counter[tuple[str, str]]]) -> tuple[LayerTime, ...]:
    """Median and share of each step, in order of first execution.

    Args:
        inferences: for each, microseconds by name and kind of a step. A step that an inference left out took
            no time in it.
    """
    keys = dict.fromkeys(key for times in inferences for key in times)
    medians = {key: median(times[key] for times in inferences) for key in keys}
    whole = sum(medians.values()) or 1
    return tuple(LayerTime(name, kind, float(time), time / whole) for (name, kind), time in medians.items())
