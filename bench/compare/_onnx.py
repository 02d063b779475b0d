"""ONNX files of torch networks, and what ONNX Runtime makes of them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ._vision import image, network

_TOLERANCE = 1e-3


def export_onnx(model: Any, path: Path, *, batch: int = 1, size: int = 224) -> Path:
    """Write ``model`` with ``torch.onnx.export(dynamo=True)``, weights inside."""
    import torch

    warnings.simplefilter("ignore")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(model, (image(size, batch),), dynamo=True, verbose=False)
    assert program is not None
    program.save(path)
    return path


def network_onnx(name: str, folder: Path) -> Path:
    """The ONNX file of a torchvision network with random weights."""
    return export_onnx(network(name), folder / f"{name}.onnx")


def outputs(path: Path, feeds: dict[str, Any]) -> list[Any]:
    """Outputs of an ONNX file by ONNX Runtime, one thread, no rewriting of the graph."""
    import prunepass as pp

    options = {"threads": 1, "optimization": "none"}
    with pp.backends.get("onnxruntime").build(path, options=options) as engine:
        return list(engine.run(feeds).values())


def difference(got: list[Any], want: list[Any]) -> float:
    """Largest difference of any output, relative to its largest entry."""
    gaps = [
        np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-30) if a.shape == b.shape else np.inf
        for a, b in zip(got, want, strict=True)
    ]
    return float(max(gaps))


def agrees(error: float) -> bool:
    """Whether two float32 networks may be called equal."""
    return error <= _TOLERANCE
