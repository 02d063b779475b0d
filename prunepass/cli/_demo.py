"""``prunepass demo``: the whole way on a trained model."""

from __future__ import annotations

import click

from .face import Face, spoken


@click.command()
@click.option("--torch", "with_torch", is_flag=True, help="A PyTorch MobileNetV2 and photos instead.")
@click.option("--out", default="demo-out", show_default=True, metavar="FOLDER", help="Where the pictures go.")
@spoken
def demo(face: Face, with_torch: bool, out: str) -> None:
    """Prune a trained model before your eyes.

    Without data, with the proof, the clock, and what it cost in accuracy. Pictures go to a folder.
    """
    if with_torch:
        from ..demo import run_torch

        run_torch(face, out)
        return
    from ..demo import run_onnx

    run_onnx(face, out)
