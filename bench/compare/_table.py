"""The result of a comparison: rows under columns, with the command that made them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_PACKAGES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "torch",
    "torch-pruning",
    "onnxsim",
    "tensorrt-rtx-cu13",
)


@dataclass(frozen=True)
class Options:
    """What the command line of a comparison gives.

    Attributes:
        quick: a subset instead of all.
        only: names to restrict it to.
        work: folder of a comparison that can go on where it was stopped.
    """

    quick: bool = False
    only: tuple[str, ...] = ()
    work: Path | None = None

    def wants(self, name: str) -> bool:
        return not self.only or name in self.only


@dataclass(frozen=True)
class Table:
    """Rows of a comparison.

    Attributes:
        title: what is compared, with units.
        rows: all with the same keys.
        notes: how it was measured, what to keep in mind.
        setting: processor and versions.
    """

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    setting: Mapping[str, str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.setting is None:
            object.__setattr__(self, "setting", setting())

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def to_markdown(self) -> str:
        """The rows as a Markdown table under the title."""
        columns = list(self.rows[0]) if self.rows else []
        lines = [f"# {self.title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [f"| {' | '.join(_cell(row.get(name)) for name in columns)} |" for row in self.rows]
        lines += ["", *self.notes, "", ", ".join(f"{key} {value}" for key, value in self.setting.items())]
        return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def setting() -> dict[str, str]:
    """Processor features, cores and versions: what a reader needs to compare, nothing that names a machine."""
    found = {"python": platform.python_version(), "cores": str(os.cpu_count()), "vector": _vector()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _vector() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:  # noqa: PTH123 - not a user's file
            flags = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        return platform.machine()
    return next((name for name in ("amx_tile", "avx512f", "avx2") if name in flags), platform.machine())
