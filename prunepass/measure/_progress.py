"""Progress reports of a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

Progress: TypeAlias = Callable[[float], None]


@contextmanager
def progress_bar(what: str, console: Console | None = None) -> Iterator[Progress]:
    """A bar that the yielded callback moves, 0 to 1; on stderr unless a console is given, gone when done."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=console or Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda done: bar.update(task, completed=done)
