"""File names that users give."""

from __future__ import annotations

import os
from pathlib import Path

from ._errors import UsageError


def path_of(given: object, advice: str) -> Path:
    """The path that a user gave.

    Raises:
        UsageError: it is none; ``advice`` says of what it should be one.
    """
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(f"a {type(given).__name__} is no path", advice=advice)
    return Path(given)
