"""Places in the user's own source: frames of stack traces and of exceptions."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.fx.proxy import TracerBase

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
_TORCH = Path(torch.__file__).parent
_HERE = Path(__file__).parents[2]
_STDLIB = Path(sysconfig.get_path("stdlib"))
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of source; ``str`` keeps the file's own name only: messages are the same everywhere."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    def text(self) -> str:
        """The line itself, empty where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()


@lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Return whether ``file`` belongs to this package."""
    return Path(file).is_relative_to(_HERE)


@lru_cache(maxsize=4096)
def is_user(file: str) -> bool:
    """Return whether ``file`` belongs neither to torch, nor to Python itself, nor to this package."""
    path = Path(file)
    if file.startswith("<") or path.is_relative_to(_TORCH) or path.is_relative_to(_HERE):
        return False
    return not path.is_relative_to(_STDLIB) or bool(_INSTALLED & set(path.parts))


def innermost_frame(stack_trace: str | None) -> Frame | None:
    """The user's own line in a stack trace that torch noted on a node, None where there is none."""
    frames = [Frame(found["file"], int(found["line"])) for found in _FRAME.finditer(stack_trace or "")]
    return next((frame for frame in reversed(frames) if is_user(frame.file)), None)


@contextmanager
def whole_traces() -> Iterator[None]:
    """Let torch note every frame inside ``forward``, not only those of functions that are called so.

    Models compute in helper functions; without this (torch may do without the hook one day) a node's line
    is that of the call of the helper.
    """
    original = getattr(TracerBase, "_filter_traceback_frames", None)
    if original is None:
        yield
        return

    def every_frame(tracer: Any, user_stack_summary: traceback.StackSummary) -> Any:
        flag, tracer._record_forward_stack_traces_only = tracer._record_forward_stack_traces_only, False
        try:
            return original(tracer, user_stack_summary)
        finally:
            tracer._record_forward_stack_traces_only = flag

    TracerBase._filter_traceback_frames = every_frame  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        TracerBase._filter_traceback_frames = original  # type: ignore[method-assign]


def raised_at(error: BaseException) -> Frame | None:
    """The user's own line that an exception passed through last, or that its text quotes."""
    return next(iter(frames_of(error)), None)


def frames_of(error: BaseException) -> list[Frame]:
    """The user's own lines that an exception passed through, innermost first; or one that its text quotes."""
    for each in _chain(error):
        entries = traceback.extract_tb(each.__traceback__)
        frames = [Frame(entry.filename, entry.lineno or 0) for entry in entries if is_user(entry.filename)]
        if frames:
            return frames[::-1]
    return [found for each in _chain(error) if (found := innermost_frame(str(each)))]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def first_line(error: BaseException) -> str:
    """The message of an exception, in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0].strip()[:300]}" if text else type(error).__name__
