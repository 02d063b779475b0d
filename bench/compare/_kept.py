"""What a comparison of hours made so far, in a folder: stopped, it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ._table import setting


class Kept:
    """Results by name, each a file that is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Open ``folder``, made where it is missing.

        Raises:
            SystemExit: what lies there was made with another processor or other versions.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        made_with = self("setting", setting)
        if made_with != setting():
            raise SystemExit(f"{folder} was made on another setting: {made_with}; name another folder")

    def __call__(self, name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The result ``name``: as it was kept, else made now."""
        file = self._folder / f"{name}.json"
        if not file.exists():
            text = json.dumps(make())
            half = file.with_suffix(".half")
            half.write_text(text, encoding="utf-8")
            half.replace(file)
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found
