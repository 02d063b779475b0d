"""``prunepass apply``: replay a plan in a build."""

from __future__ import annotations

import click

from ._declared import declared
from .face import Face, spoken


@click.command()
@click.argument("plan")
@click.argument("model")
@declared("out", required=True)
@declared("shape")
@declared("depfile")
@spoken
def apply(face: Face, plan: str, model: str, out: str, shape: tuple[str, ...], depfile: str | None) -> None:
    """Cut from MODEL what PLAN says.

    OUT has the same bytes every time. A plan is refused on another model than it was made for. An OUT that
    would not change is left as it is.
    """
    from ..drivers import apply as run
    from ..passes import Plan, files_of
    from ._files import Outputs, check_outputs
    from ._files import depfile as rule
    from ._models import check_apart, load, save, sources
    from .progress import progress

    found = Plan.load(plan)
    read = files_of(plan, found)
    check_outputs((out, depfile), (*read, model))
    with progress(face), Outputs() as outputs:
        loaded = load(model, shape)
        loaded.check_target(out)
        check_apart(loaded, out, depfile)
        pruned = run(found, loaded.model, loaded.inputs, form="graph")
        save(loaded, pruned, outputs.path(out))
        if depfile is not None:
            outputs.text(depfile, rule(out, (*read, *sources(loaded))))
    face.show(f"{out}: {len(found.cuts)} groups cut as {plan} says")
