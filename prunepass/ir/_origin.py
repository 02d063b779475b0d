"""Origin of a node in the user's own model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The place in the user's model that a node stands for.

    Attributes:
        path: module path (``layer1.0.conv1``) or ONNX node name.
        line: source line as ``file.py:12``, empty where unknown. Only the file's own name is kept,
            never its folder, so that artefacts are the same on every machine.
    """

    path: str = ""
    line: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.path, self.line) if part)


@dataclass(frozen=True, slots=True)
class Pin:
    """Reason why a dim may not be cut, and what a user can do about it where something can be done."""

    reason: str
    origin: Origin = Origin()
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.reason} [{self.origin}]" if str(self.origin) else self.reason
