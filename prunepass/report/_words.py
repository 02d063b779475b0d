"""Numbers as people read them."""

from __future__ import annotations

from math import floor, log10

from ..measure import Ratio

# As escapes, so that nobody takes them for a letter x and a hyphen.
TIMES, MINUS = "\u00d7", "\u2212"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(number: float, unit: str = "") -> str:
    """Three digits and a prefix: ``569 M``, ``13.9 MB``."""
    for size, prefix in _PREFIXES:
        if number >= size:
            return f"{three(number / size)} {prefix}{unit}"
    return f"{number:g} {unit}".rstrip()


def three(number: float) -> str:
    """Three digits, never a power of ten: ``0.0123``, ``48.5``, ``1234``."""
    digits = 2 - floor(log10(number)) if number > 0 else 0
    return f"{number:.{max(0, digits)}f}"


def times(ratio: Ratio) -> str:
    return f"{ratio.median:.2f}{TIMES}"


def interval(ratio: Ratio) -> str:
    return f"{ratio.p10:.2f} to {ratio.p90:.2f}{TIMES}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def small(number: float) -> str:
    """An error: ``3.2e-14``."""
    return f"{number:.1e}"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, some ``count`` of them."""
    span = high - low
    if not span > 0:
        return [low]
    digits = f"{span / count:e}"
    power = 10.0 ** int(digits.partition("e")[2])
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power * count >= span * 0.999)
    first = int(low / step)
    found = (round((first + i) * step, 12) for i in range(count + 3))
    return [tick for tick in found if low - 1e-9 * span <= tick <= high + 1e-9 * span]
