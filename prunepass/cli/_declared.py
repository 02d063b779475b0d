"""Options of the command line from their one declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .._options import OPTIONS, Option

F = TypeVar("F", bound=Callable[..., Any])


def declared(name: str, **changes: Any) -> Callable[[F], F]:
    """The option called ``name``, for a command that takes it.

    Args:
        changes: what is special there, as for ``click.option``.
    """
    option = OPTIONS[name]
    flags = option.flag or (f"--{name.replace('_', '-')}",)
    return click.option(*flags, name, **{**_shape(option), **changes})


def all_declared(command: F) -> F:
    """Every option that a command line can give, in the order of their declaration."""
    for name in reversed([name for name, option in OPTIONS.items() if option.command]):
        command = declared(name)(command)
    return command


def _shape(option: Option) -> dict[str, Any]:
    found: dict[str, Any] = {"help": option.help, "metavar": option.metavar}
    if option.form.kind == "flag":
        return {**found, "is_flag": True, "default": None}
    if option.form.kind == "whole":
        found["type"] = click.IntRange(_whole(option.least), _whole(option.most))
    elif option.form.kind == "number":
        found["type"] = click.FloatRange(option.least, option.most)
    elif option.choices:
        found["type"] = click.Choice(option.choices)
    return {**found, "multiple": option.form.kind in ("texts", "ratios")}


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
