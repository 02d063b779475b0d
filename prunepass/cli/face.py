"""The console of commands: results on stdout, messages on stderr, tables and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

F = TypeVar("F", bound=Callable[..., Any])

# Wide enough for names of layers where there is no terminal to ask, such as a pipe or a build log.
_PIPE_WIDTH = 160


class Face:
    """The two streams of a command.

    Attributes:
        verbosity: -1 errors only, 0 results, 1 and more details.
    """

    def __init__(self) -> None:
        self.verbosity = 0

    @cached_property
    def out(self) -> Console:
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        return _console(stderr=True)

    def show(self, *results: Any) -> None:
        """Print results for a human, unless quiet."""
        if self.verbosity >= 0:
            for result in results:
                self.out.print(result)

    def note(self, text: str, *, level: int = 0) -> None:
        """A message on stderr, from verbosity ``level`` on."""
        if self.verbosity >= level:
            click.echo(f"prunepass: note: {text}", err=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """A table whose cells are shown as they are, under its title; columns that start with ``>`` are numbers."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table()
    for column in columns:
        number = column.startswith(">")
        made.add_column(
            Text(column.lstrip(">")), justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    return Group(Text(title, style="bold"), made) if title else made


def _set_verbosity(context: click.Context, parameter: click.Parameter, value: int | bool) -> None:
    if value:
        face: Face = context.ensure_object(Face)
        face.verbosity = -1 if parameter.name == "quiet" else int(value)


def spoken(function: F) -> F:
    """Add ``-q`` and ``-v`` and pass the :class:`Face`."""
    more = "Say more; with an internal error, where it arose."
    shared: dict[str, Any] = {"callback": _set_verbosity, "expose_value": False, "is_eager": True}
    function = click.option("-v", "--verbose", count=True, help=more, **shared)(function)
    function = click.option("-q", "--quiet", is_flag=True, help="Errors only.", **shared)(function)
    return click.pass_obj(function)  # type: ignore[return-value]
