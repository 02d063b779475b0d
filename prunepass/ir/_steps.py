"""Names with options in text, as passes, scores and backends are named: ``select{budget=macs:0.5, align=16}``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ._errors import UsageError

_STEP = re.compile(r"""\s*([\w.-]+)\s*(?:\{((?:"[^"]*"|[^{}"])*)\})?\s*""")
_OPTION = re.compile(r"""\s*([\w.-]+)\s*=\s*("[^"]*"|[^,]*?)\s*(?:,|$)""")


def parse_steps(text: str, kind: str = "pass") -> Iterator[tuple[str, dict[str, str]]]:
    """``(name, options)`` of each step of ``a | b{x=1, y="u, v"}``, each of which is a ``kind`` to the user.

    Raises:
        UsageError: the text is malformed.
    """
    for step in text.split("|"):
        match = _STEP.fullmatch(step)
        if match is None:
            raise UsageError(f"'{step.strip()}' is no {kind}", advice="write name or name{option=value, ...}")
        yield match[1], dict(_pairs(match[2] or "", match[1]))


def _pairs(text: str, owner: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _OPTION.match(text, at)
        if match is None:
            raise UsageError(f"'{text[at:].strip()}' is no option of '{owner}'", advice="write option=value")
        yield match[1], match[2].strip('"')
        at = match.end()


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
