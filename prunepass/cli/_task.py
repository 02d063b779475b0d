"""The task that a command line names: data in files or made by code, and code that tells how good a model is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._options import Options
from ..ir import UsageError
from ._imported import Code, is_code

_DATA = "data are a file, a folder, or package.module:function, which takes nothing and returns the batches"
_NAME = "write package.module:function or path/to/file.py:function; it takes"
_FUNCTIONS: Mapping[str, str] = {
    "evaluate": f"{_NAME} the model and returns a number",
    "tune": f"{_NAME} the model and hooks, and trains the model in place",
    "loss": f"{_NAME} outputs and batch and returns a single number of the model's library",
}


def with_task(asked: Options) -> Options:
    """``asked`` with the task that its ``data``, ``evaluate``, ``tune`` and ``loss`` name.

    Raises:
        UsageError: there is no such file or function. ModelError: the function's module raises.
    """
    task: dict[str, Any] = {}
    if asked.data is not None:
        task["data"] = _data(asked.data)
    for part, advice in _FUNCTIONS.items():
        name = getattr(asked, part)
        if name is not None:
            task[part] = _function(name, advice)
    return replace(asked, task=task) if task else asked


def _function(name: str, advice: str) -> Code:
    if not is_code(name):
        raise UsageError("it names no function", where=name, advice=advice)
    return Code.of(name, advice)


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
