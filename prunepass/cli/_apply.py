"""``prunepass apply``: replay a plan in a build."""

from __future__ import annotations

import click

from .face import Face, spoken


@click.command()
@click.argument("plan")
@click.argument("model")
@click.option("-o", "--out", required=True, metavar="OUT", help="The pruned model: .onnx, or .pt2 for torch.")
@click.option("--shape", multiple=True, metavar="SHAPE", help="Shape of an example input, NAME=1,3,224,224.")
@click.option("--depfile", metavar="D", help="Also write what OUT depends on, in Makefile syntax.")
@spoken
def apply(face: Face, plan: str, model: str, out: str, shape: tuple[str, ...], depfile: str | None) -> None:
    """Cut from MODEL what PLAN says.

    OUT has the same bytes every time. A plan is refused on another model than it was made for. An OUT that
    would not change is left as it is.
    """
    from .._prune import apply as run
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
