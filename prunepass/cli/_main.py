"""The entry point: commands, exit codes and what happens to an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import __version__
from ._analyze import analyze
from ._apply import apply
from ._calibrate import calibrate
from ._check import check
from ._demo import demo
from ._engines import backends, bench, build
from ._messages import report
from ._passes import passes
from ._prune import prune
from ._schema import schema
from ._stdout import written
from ._stop import Stop
from ._sweep import sweep
from .face import Face

F = TypeVar("F", bound=Callable[..., Any])


def _prints_folder(name: str, purpose: str) -> Callable[[F], F]:
    """An option that prints where the package keeps the rules of a build system."""

    def tell(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            click.echo(Path(__file__).parents[1] / name)
            context.exit()

    shared: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False, "callback": tell}
    return click.option(
        f"--{name}-dir", help=f"Print the folder of the rules for {name}: {purpose}.", **shared
    )


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 a gate failed (budget, proof, slower than before); 2 usage or "
    "configuration; 3 the model is invalid or not supported; 4 the backend is not available; 70 internal "
    "error; 130 interrupted, 143 terminated.",
)
@click.version_option(__version__, prog_name="prunepass", message="%(prog)s %(version)s")
@_prints_folder("cmake", "for -DPrunepass_DIR=...")
@_prints_folder("bazel", "for a local_repository")
def prunepass() -> None:
    """Make trained networks smaller and really faster, provably right, without data."""


_COMMANDS = (
    *(analyze, prune, sweep, calibrate, apply, check, build, bench),
    *(backends, passes, schema, demo),
)
for _command in _COMMANDS:
    prunepass.add_command(_command)


def run(args: Sequence[str] | None, stop: Stop) -> int:
    """Run one command and return its exit code, which is that of the signal where one came."""
    face, done = Face(), None
    try:
        with written():
            done = prunepass.main(args, prog_name="prunepass", standalone_mode=False, obj=face)
    except (click.Abort, KeyboardInterrupt):
        return _stopped(stop)
    except BaseException as error:
        if stop.number:
            return _stopped(stop)
        if not isinstance(error, Exception):
            raise
        return report(error, verbose=face.verbosity > 0)  # the last line of defence: code and advice for each
    if stop.number:
        return _stopped(stop)
    return done if isinstance(done, int) else 0


def _stopped(stop: Stop) -> int:
    click.echo(f"prunepass: {stop.word}; every output is whole or as it was", err=True)
    return stop.code
