"""The first step of the command, light enough that a signal hardly ever comes before it is listened to."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from ._stop import stoppable


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``args`` are those of the process unless given."""
    _silence_engines()
    with stoppable() as stop:
        try:
            from ._main import run

            return run(args, stop)
        except BaseException:
            if not stop.number:
                raise
        # Before there was anything that could say so.
        return stop.code


def _silence_engines() -> None:
    """A command writes what it was asked for and a build has no network, but engines report to their vendors.

    When they are imported, ONNX Runtime leaves a data base in the user's cache and OpenVINO a folder in the home.
    Each has its own switch: a variable, where a user's own setting stays, and a package that may be missing.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    loaded: dict[str, Any] = sys.modules
    loaded.setdefault("openvino_telemetry", None)
