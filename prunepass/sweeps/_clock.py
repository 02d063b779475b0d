"""Measuring one candidate against the original: alone on its machine."""

from __future__ import annotations

import shlex
import subprocess
from math import isfinite, nan
from pathlib import Path

import msgspec

from ..hosts import open_model
from ..ir import UsageError
from ..measure import compare
from ._make import guarded
from ._row import MODEL, Job, Row, Setup

_HOLE = "{model}"


def timed(job: Job, row: Row) -> Row:
    """``row`` with its timing, and its accuracy where a command says what that is; or why not."""

    def measure(job: Job) -> Row:
        setup, model = job.setup, job.place / MODEL
        accuracy = accuracy_of(setup, model) if setup.accuracy else row.accuracy
        timing = compare(
            (job.model, model),
            setup.backend,
            names=("original", job.candidate.name),
            feeds=_shapes(job.model),
            threads=setup.threads,
            duration=setup.duration,
        )
        return msgspec.structs.replace(row, timing=timing, accuracy=accuracy)

    return guarded(job, measure)


def _shapes(model: Path) -> dict[str, tuple[int, ...]]:
    """The shapes that the model was captured with: free sizes are the same in every measurement."""
    graph = open_model(model).graph
    read = {name for node in graph.nodes for name in node.inputs}
    # Some engines leave out an input that nothing reads.
    return {name: graph.values[name].shape for name in graph.inputs if name in read}


def accuracy_of(setup: Setup, model: Path) -> float | None:
    """The number that the user's command prints as its last line about ``model``; None without a command.

    Raises:
        UsageError: the command has no ``{model}``, cannot be run, fails, or prints no number.
    """
    if not setup.accuracy:
        return None
    words = command(setup.accuracy)
    try:
        done = subprocess.run(
            [word.replace(_HOLE, str(model)) for word in words], capture_output=True, check=False
        )
    except OSError as error:
        raise UsageError(f"the accuracy command cannot be run: {error.strerror}", where=words[0]) from error
    last, said = _last_line(done.stdout), _last_line(done.stderr)
    if done.returncode:
        what = f"the accuracy command failed with exit code {done.returncode}" + (f": {said}" if said else "")
        raise UsageError(what, where=model.name, advice="run it by hand on this model")
    try:
        found = float(last)
    except ValueError:
        found = nan
    if not isfinite(found):
        what = f"the accuracy command gave no number: its last line is '{last}'"
        raise UsageError(what, where=model.name, advice="it prints a number as its last line")
    return found


def _last_line(output: bytes) -> str:
    """The last line that is not empty; bytes that are no text are shown as such."""
    lines = output.decode("utf-8", errors="backslashreplace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def command(text: str) -> list[str]:
    """The words of an accuracy command; no shell reads it.

    Raises:
        UsageError: it has no place for the model, or its quotes do not match.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"the accuracy command cannot be read: {error}") from error
    if not any(_HOLE in word for word in words):
        raise UsageError("the accuracy command has no place for the model", advice=f"write {_HOLE} there")
    return words
