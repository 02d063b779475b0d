"""The task that a command line names: data in files or made by code, and code that tells how good a model is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._options import Options
from ..ir import UsageError
from ._imported import Code, is_code

_DATA = "data are a file, a folder, or package.module:function, which takes nothing and returns the batches"
_EVALUATE = (
    "write package.module:function or path/to/file.py:function; it takes the model and returns a number"
)


def with_task(asked: Options) -> Options:
    """``asked`` with the task that its ``data`` and ``evaluate`` name.

    Raises:
        UsageError: there is no such file or function. ModelError: the function's module raises.
    """
    task: dict[str, Any] = {}
    if asked.data is not None:
        task["data"] = _data(asked.data)
    if asked.evaluate is not None:
        if not is_code(asked.evaluate):
            raise UsageError("it names no function", where=asked.evaluate, advice=_EVALUATE)
        task["evaluate"] = Code.of(asked.evaluate, _EVALUATE)
    return replace(asked, task=task) if task else asked


def _data(name: str) -> Any:
    if is_code(name):
        return Code.of(name, _DATA)
    path = Path(name)
    if not path.exists():
        raise UsageError("there is no such file or folder", where=name, advice=_DATA)
    return path


def task_inputs(asked: Options) -> Iterator[Path]:
    """Files and folders that the task names."""
    for part in (asked.task or {}).values():
        yield from part.files if isinstance(part, Code) else (part,)


def task_files(asked: Options) -> Iterator[Path]:
    """The same with what is in the folders, for dependency files; a folder itself tells what is added to it."""
    for path in task_inputs(asked):
        yield path
        yield from sorted(path.rglob("*")) if path.is_dir() else ()
