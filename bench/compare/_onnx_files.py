"""Networks as ONNX files, written by torch's exporter."""

from __future__ import annotations

import warnings
from pathlib import Path

from ._vision import image, network


def exported(name: str, folder: Path) -> Path:
    """The file of a torchvision network in ``folder``, batch normalisations folded as the exporter does."""
    import torch

    file = folder / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network(name), (image(),), file, dynamo=True, external_data=False, verbose=False)
    return file
