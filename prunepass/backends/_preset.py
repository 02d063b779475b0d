"""A backend with options of its own: ``onnxruntime{provider=cuda}`` wherever a backend is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir import UsageError, parse_steps
from ._protocol import Backend, Clock, Engine

_THREADS = "threads"


@dataclass(frozen=True)
class Preset:
    """Builds as ``backend`` does, with ``options`` that a call may add to."""

    backend: Backend
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """The spelling, the same for equal options."""
        pairs = (f"{key}={_quoted(value)}" for key, value in sorted(self.options.items()))
        return f"{self.backend.name}{{{', '.join(pairs)}}}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.backend.reads

    def unavailable(self) -> str | None:
        return self.backend.unavailable()

    def version(self) -> str:
        return self.backend.version()

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        return self.backend.clock({**self.options, **(options or {})})

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> Engine:
        return self.backend.build(model, options={**self.options, **(options or {})})


def _quoted(value: str) -> str:
    return f'"{value}"' if "," in value else value


def spelled(text: str) -> tuple[str, dict[str, str]]:
    """The name of a backend and the options that follow it in braces.

    Raises:
        UsageError: the text is malformed, or sets what has an option of its own everywhere.
    """
    if "{" not in text:
        return text, {}
    found = list(parse_steps(text, "backend"))
    if len(found) != 1:
        raise UsageError(f"'{text}' is no backend", advice="write name or name{option=value, ...}")
    ((name, options),) = found
    if _THREADS in options:
        raise UsageError(f"threads are no part of '{text}'", advice="give them as threads= (--threads)")
    return name, options
