"""Progress on stderr: silent for a second, then which pass runs and for how long; gone when done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .face import Face

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..passes import State

_PATIENCE = 1.0


class PassProgress:
    """Tells of the passes of a pipeline; an :class:`prunepass.passes.Observer`."""

    def __init__(self, face: Face, progress: Progress) -> None:
        self._face, self._progress = face, progress
        self._task = progress.add_task("reading the model", total=None)

    def say(self, what: str) -> None:
        self._progress.update(self._task, description=what)

    def before(self, name: str, state: State) -> None:
        self.say(name)

    def after(self, name: str, state: State, seconds: float) -> None:
        self._face.note(f"{name} took {seconds:.2f} s", level=1)
        self.say("writing the model onto its host")

    def progress(self, share: float) -> None:
        """A driver tells how far it is, from 0 to 1."""
        self._progress.update(self._task, total=1.0, completed=share)


@contextmanager
def progress(face: Face) -> Iterator[PassProgress]:
    """Progress of whatever runs inside."""
    from rich.progress import Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    begun = perf_counter()

    class Late(Progress):
        """Nothing to see where there is nothing to wait for."""

        def get_renderables(self) -> Iterable[Any]:
            if perf_counter() - begun >= _PATIENCE:
                yield from super().get_renderables()

    class Share(TextColumn):
        """The share that is done, where a driver tells it."""

        def render(self, task: Task) -> Text:
            return super().render(task) if task.total is not None else Text()

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, Share("{task.percentage:.0f} %", markup=False), TimeElapsedColumn())
    quiet = face.verbosity < 0 or not face.err.is_terminal
    with Late(*columns, console=face.err, transient=True, disable=quiet) as shown:
        yield PassProgress(face, shown)
