"""The entry point: commands, exit codes and what happens to an error."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from .. import __version__
from ._analyze import analyze
from ._apply import apply
from ._calibrate import calibrate
from ._check import check
from ._demo import demo
from ._engines import backends, bench, build
from ._face import Face
from ._messages import report
from ._passes import passes
from ._prune import prune

_INTERRUPTED, _TERMINATED = 130, 143


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 a gate failed (budget, proof, slower than before); 2 usage or "
    "configuration; 3 the model is invalid or not supported; 4 the backend is not available; 70 internal "
    "error; 130 interrupted.",
)
@click.version_option(__version__, prog_name="prunepass", message="%(prog)s %(version)s")
def prunepass() -> None:
    """Make trained networks smaller and really faster, provably right, without data."""


for _command in (analyze, prune, apply, check, calibrate, bench, build, backends, passes, demo):
    prunepass.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``args`` are those of the process unless given."""
    face = Face()
    try:
        with _terminable():
            done: Any = prunepass.main(args, prog_name="prunepass", standalone_mode=False, obj=face)
    except (click.Abort, KeyboardInterrupt):
        click.echo("prunepass: interrupted; nothing was written", err=True)
        return _INTERRUPTED
    except Exception as error:  # the last line of defence: every error leaves with its code and advice
        return report(error, verbose=face.verbosity > 0)
    return done if isinstance(done, int) else 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Let a build tool's SIGTERM unwind the stack, so that temporary files go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
