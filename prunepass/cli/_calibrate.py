"""``prunepass calibrate``: measure what an engine rewards, into a file that ``--target`` takes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from ._declared import declared
from .face import Face, spoken, table


@click.command()
@click.argument("model")
@declared("backend", required=True, help="An engine; see 'prunepass backends'.")
@declared("out", required=True, metavar="TARGET.toml", help="Where the target goes.")
@declared("threads", default=1)
@click.option("--quick", is_flag=True, help="Fewer widths and shorter turns; rougher figures.")
@click.option("--cache", metavar="DIR", help="Keeps what was measured.  [$XDG_CACHE_HOME/prunepass]")
@declared("shape")
@spoken
def calibrate(face: Face, model: str, out: str, shape: tuple[str, ...], **how: Any) -> None:
    """Measure what an engine rewards on the layers of MODEL.

    That is the multiple of channels it wants, and how long each layer takes at several widths. Interrupted, it
    goes on where it stopped.
    """
    from ..measure import progress_bar
    from ..targets import calibrate as run
    from ..targets import to_toml
    from ._files import Outputs, check_outputs
    from ._models import check_apart, load

    check_outputs((out,), (model,))
    loaded = load(model, shape)
    check_apart(loaded, out)
    quiet = face.verbosity < 0 or not face.err.is_terminal
    with nullcontext(lambda done: None) if quiet else progress_bar("measuring layers", face.err) as tick:
        target = run(loaded.model, loaded.inputs, progress=tick, **how)
    with Outputs() as outputs:
        outputs.text(out, to_toml(target))
    rows = ((row.kind, row.dtype, row.preferred, row.minimum) for row in target.grain)
    face.show(table(out, ("work", "dtype", ">preferred", ">minimum"), rows))
    face.show(f"{len(target.layers)} layers on {target.backend} {target.version}")
