"""Distributions of other people: a folder on the path with code and the metadata that ``pip`` writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Installer:
    """Puts distributions where Python finds them, for as long as the test runs.

    Attributes:
        folder: where their code goes.
    """

    folder: Path
    patch: pytest.MonkeyPatch

    def __call__(self, group: str, entries: Mapping[str, str], code: str = "", name: str = "theirs") -> None:
        """Install ``name``, version 1.5: ``{name}_code.py`` with ``code``, and entries such as ``theirs_code:A``."""
        place = self.folder / name
        info = place / f"{name}-1.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        lines = "".join(f"{entry} = {value}\n" for entry, value in entries.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        (place / f"{name}_code.py").write_text(code)
        self.patch.syspath_prepend(str(place))
        self.patch.delitem(sys.modules, f"{name}_code", raising=False)
