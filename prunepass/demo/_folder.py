"""The folder that a demonstration puts its pictures in."""

from __future__ import annotations

import os
from pathlib import Path

from ..ir import UsageError


def ready_folder(name: str) -> Path:
    """The folder called ``name``, made if need be; raises UsageError before any work where it cannot be."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder: {error.strerror}", where=name) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError("the folder is not writable", where=name)
    return folder
