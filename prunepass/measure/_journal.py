"""Journal of measurements: a file of JSON lines, so that a long one goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..ir import UsageError

_FOLDER, _FILE = "prunepass", "latency.jsonl"


class _Line(msgspec.Struct, frozen=True):
    key: str
    value: tuple[float, ...]


class Journal:
    """Measured figures by fingerprint; each is on disk before the next is measured."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        """Open the journal in ``folder``, else in the user's cache (``$XDG_CACHE_HOME/prunepass``).

        Raises:
            UsageError: the folder cannot be made.
        """
        self._file = (Path(folder) if folder is not None else _cache()) / _FILE
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            text = self._file.read_bytes() if self._file.exists() else b""
        except OSError as error:
            where = str(self._file.parent)
            raise UsageError(
                f"the cache cannot be used: {error.strerror}", where=where, advice="--cache DIR"
            ) from error
        self._known = dict(_lines(text))
        # A line that an interruption left unfinished must not swallow the next one.
        self._broken = bool(text) and not text.endswith(b"\n")

    def get(self, key: str) -> tuple[float, ...] | None:
        return self._known.get(key)

    def put(self, key: str, value: tuple[float, ...]) -> None:
        """Keep ``value``."""
        self._known[key] = value
        line = msgspec.json.encode(_Line(key, value))
        with self._file.open("ab") as file:
            file.write((b"\n" if self._broken else b"") + line + b"\n")
        self._broken = False

    def __len__(self) -> int:
        return len(self._known)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / _FOLDER


def _lines(text: bytes) -> list[tuple[str, tuple[float, ...]]]:
    found = []
    for line in text.splitlines():
        try:
            read = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        found.append((read.key, read.value))
    return found


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """A short hash over plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
