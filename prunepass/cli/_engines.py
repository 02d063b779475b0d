"""``prunepass backends``, ``build`` and ``bench``: engines, what they make of a model, and the clock."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._declared import declared
from .face import Face, spoken, table

if TYPE_CHECKING:
    from ..backends import Backend

_BACKEND = declared(
    "backend",
    required=True,
    help="An engine, with options as in 'torch{mode=compile}'; see 'prunepass backends'.",
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def backends(face: Face, as_json: bool) -> None:
    """List the engines, and why one is not available here."""
    import json

    from ..backends import names

    found = {name: _state(name) for name in names()}
    if as_json:
        click.echo(json.dumps(found, indent=1, sort_keys=True))
        return
    rows = [
        (name, state["version"] or "-", " ".join(state["reads"] or ()), state["unavailable"] or "available")
        for name, state in found.items()
    ]
    face.show(table("", ("backend", "version", "reads", ""), rows))


def _state(name: str) -> dict[str, Any]:
    from ..backends import get
    from ..ir import BackendError

    reads = None
    try:
        backend = get(name)
        reads = list(backend.reads)
        reason = backend.unavailable()
        version = backend.version() if reason is None else None
    except BackendError as error:
        reason, version = str(error), None
    return {"version": version, "reads": reads, "unavailable": reason}


def readable(name: str, backend: Backend) -> str:
    """``name`` where it is a file that ``backend`` reads; what no backend knows by its ending may be ONNX."""
    from ..ir import UsageError

    path = Path(name)
    if not path.is_file():
        raise UsageError("there is no such file", where=name)
    ending = path.suffix.lower().removeprefix(".")
    if ending in backend.reads or ("onnx" in backend.reads and ending not in _endings()):
        return name
    if ending == "pt2" and "onnx" in backend.reads:
        advice = "write the model as ONNX: prunepass prune or apply with -o OUT.onnx"
    else:
        advice = "another backend may: see 'prunepass backends'"
    reads = ", ".join(f".{each}" for each in backend.reads)
    raise UsageError(f"backend '{backend.name}' reads {reads}", where=name, advice=advice)


def _endings() -> set[str]:
    """Of the files that some backend is known to read."""
    from ..backends import get, names
    from ..ir import BackendError

    found: set[str] = set()
    for name in names():
        with suppress(BackendError):
            found.update(get(name).reads)
    return found


@click.command()
@click.argument("model")
@declared("out", required=True, metavar="ENGINE", help="Where the engine goes.")
@_BACKEND
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="An option of the backend.")
@spoken
def build(face: Face, model: str, out: str, backend: str, assignments: tuple[str, ...]) -> None:
    """Build an engine from MODEL, a file that the backend reads."""
    from ..backends import ready
    from ._files import Outputs, check_outputs
    from .progress import progress

    check_outputs((out,), (model,))
    builder = ready(backend)
    readable(model, builder)
    options = dict(_pair(assignment) for assignment in assignments)
    with progress(face) as shown, Outputs() as outputs:
        shown.say(f"building for {backend}")
        with builder.build(model, options=options) as engine:
            engine.save(outputs.path(out))
    face.show(f"{out}: built by {backend} {builder.version()}")


def _pair(assignment: str) -> tuple[str, str]:
    from ..ir import UsageError

    key, mark, value = assignment.partition("=")
    if not mark:
        raise UsageError(f"'{assignment}' sets nothing", advice="write --set key=value")
    return key.strip(), value.strip()


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@_BACKEND
@declared("threads", default=1)
@declared("shape", help="Of an input whose sizes are free, NAME=1,3,224,224.")
@click.option("--duration", type=click.FloatRange(0), default=3.0, show_default=True, help="Seconds a model.")
@click.option("--json", "json_out", metavar="F", help="Also write the result as JSON; - is stdout, alone.")
@spoken
def bench(face: Face, models: tuple[str, ...], backend: str, json_out: str | None, **given: Any) -> None:
    """Time models against the first of them.

    Interleaved, by wall time and by CPU time, in trtexec's terms.
    """
    from ..backends import ready
    from ..measure import compare, progress_bar
    from ._files import Outputs, check_outputs
    from ._models import named_shapes

    builder = ready(backend)
    check_outputs((None if json_out == "-" else json_out,), models)
    files = [readable(model, builder) for model in models]
    feeds = named_shapes(given.pop("shape"))
    quiet = face.verbosity < 0 or not face.err.is_terminal
    with nullcontext() if quiet else progress_bar("measuring", face.err) as tick:
        result = compare(files, builder, feeds=feeds, progress=tick, **given)
    if json_out == "-":
        click.echo(result.to_json(), nl=False)
        return
    if json_out is not None:
        with Outputs() as outputs:
            outputs.text(json_out, result.to_json())
    face.show(result.table())
