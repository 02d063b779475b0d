"""TensorRT's log, kept so that an error can quote it and the layers can be read from it.

An ``IErrorRecorder`` would be the other way to errors; one set from Python crashes when its builder is freed.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import clear_frames
from typing import Any

_ERRORS = frozenset({"INTERNAL_ERROR", "ERROR"})
_KEPT = _ERRORS | {"WARNING"}
# The rest of a verbose log is megabytes on a real network, and nobody reads it.
_READ = ("Layers:", "Total Activation Memory:", "Total Weights Memory:")
_PLACE = re.compile(r"\s*\bIn \w+ at \S+:\d+")
_PREFIX = re.compile(r"^\w+::\w+: Error Code \d+: ")
_CUDA = re.compile(r"cudaError (\d+): ([^()]+)")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``severity`` in TensorRT's words (``ERROR``, ``VERBOSE``)."""

    severity: str
    text: str


@dataclass(slots=True)
class Log:
    """Collects the messages that matter, in order."""

    messages: list[Message] = field(default_factory=list)

    def add(self, severity: str, text: str) -> None:
        """Keep a message if it is worth it; TensorRT calls this from its own threads."""
        if severity in _KEPT or text.startswith(_READ):
            self.messages.append(Message(severity, text))

    def errors(self) -> tuple[str, ...]:
        """Errors in the log, each once, without places in TensorRT's own source."""
        found = (_plain(message.text) for message in self.messages if message.severity in _ERRORS)
        return tuple(dict.fromkeys(text for text in found if text))

    def said(self) -> str:
        """The first errors as one text, or that there was none."""
        found = self.errors()
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + more if found else "it gave no reason"

    def cuda_error(self) -> str | None:
        """The first error that came from CUDA, as ``number: text``."""
        for message in self.messages:
            if message.severity in _ERRORS and (found := _CUDA.search(message.text)):
                return f"{found[1]}: {found[2]}"
        return None

    def text(self, start: str) -> str:
        """The last message that starts so; empty where there was none."""
        found = [message.text for message in self.messages if message.text.startswith(start)]
        return found[-1] if found else ""


def _plain(text: str) -> str:
    return " ".join(_PLACE.sub("", _PREFIX.sub("", text)).split())


def listener(trt: Any, log: Log) -> Any:
    """A logger for TensorRT's objects that writes to ``log``; it has to outlive them."""

    class Listener(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            log.add(severity.name, msg)

    return Listener()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Around the making of a builder or a runtime, and whatever may leave one behind.

    TensorRT holds a lock there while it logs. Were garbage collected in the midst of that, and one of these
    objects in it, its end would wait for that same lock, for ever. An error is the usual way to such garbage:
    its traceback keeps what its frames had in hand, so they let go of it here.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    except BaseException as error:
        clear_frames(error.__traceback__)
        raise
    finally:
        if was:
            gc.enable()
