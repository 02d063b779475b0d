"""Errors as ``path:line: error: [rule] text`` on stderr, and the exit code of each."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..ir import PrunepassError

_USAGE, _MODEL, _INTERNAL = 2, 3, 70
_SOURCE_LINE = re.compile(r"(?:^|[\s,(])([^\s,()]+\.\w+:\d+)\)?$")
_FAULT = "this is a fault in prunepass: please report it with the traceback"


def report(error: Exception, *, verbose: bool = False) -> int:
    """Say what went wrong and return the exit code."""
    from ..ir import InternalError, PrunepassError

    if isinstance(error, click.ClickException):
        _say(_click_message(error))
        return _USAGE
    if isinstance(error, PrunepassError):
        _say(message(error), *_notes(error))
        _trace(error, verbose and isinstance(error, InternalError))
        return error.exit_code
    if isinstance(error, (OSError, UnicodeEncodeError)):
        _say(f"prunepass: error: [usage] {_of_the_system(error)}")
        _trace(error, verbose)
        return _USAGE
    if isinstance(error, MemoryError):
        _say(
            f"prunepass: error: [unsupported] there is not enough memory: {error} (give smaller inputs: --shape)"
        )
        _trace(error, verbose)
        return _MODEL
    advice = _FAULT if verbose else f"{_FAULT} that -v prints"
    _say(f"prunepass: error: [internal] {type(error).__name__}: {error} ({advice})", *_notes(error))
    _trace(error, verbose)
    return _INTERNAL


def message(error: PrunepassError) -> str:
    """One line: the place where the model says it, the rule, what is wrong and what to do."""
    place, where = _place(error)
    advice = f" ({error.advice})" if error.advice else ""
    return f"{place}: error: [{error.rule}] {where}{error.what}{advice}"


def _place(error: PrunepassError) -> tuple[str, str]:
    """``path:line`` where it is known, and what else is known of the place."""
    if error.where is None:
        return "prunepass", ""
    where = str(error.where)
    found = _SOURCE_LINE.search(where)
    if found is None:
        return "prunepass", f"{where}: " if where else ""
    rest = (where[: found.start()] + where[found.end() :]).strip(" ,(")
    return found[1], f"{rest}: " if rest else ""


def _of_the_system(error: OSError | UnicodeEncodeError) -> str:
    """An error of the system in a sentence; it names a file, or text that a stream cannot encode."""
    if isinstance(error, UnicodeEncodeError):
        text = ascii(error.object[error.start : error.end])
        return f"{text} cannot be written in {error.encoding} (rename it, or set PYTHONIOENCODING=utf-8)"
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename is not None else f"cannot read or write: {said}"


def _click_message(error: click.ClickException) -> str:
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    advice = f" (see '{context.command_path} --help')" if context else ""
    return f"prunepass: error: [usage] {text}{advice}"


def _notes(error: BaseException) -> list[str]:
    return [f"prunepass: note: {note}" for note in getattr(error, "__notes__", ())]


def _say(*lines: str) -> None:
    with suppress(OSError):  # where nothing can be said the exit code says it
        for line in lines:
            click.echo(line, err=True)


def _trace(error: BaseException, wanted: bool) -> None:
    if wanted:
        _say("".join(traceback.format_exception(error)).rstrip())
