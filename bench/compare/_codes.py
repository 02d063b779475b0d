"""The same network in 8-bit codes, as ONNX Runtime's own tool writes it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_EXAMPLES = 3


def quantised(model: Path, out: Path) -> Path:
    """Write ``model`` in QDQ form: weights by channel in int8, data in uint8, ranges from normal noise."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given = onnx.load(model).graph.input[0]
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim]

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[dict[str, Any]] = iter(_noise(given.name, shape))

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    logging.getLogger().setLevel(logging.ERROR)
    ready = out.with_suffix(".ready.onnx")
    quant_pre_process(model, ready)
    quantize_static(
        ready,
        out,
        Noise(),
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
    )
    return out


def _noise(name: str, shape: list[int]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{name: rng.standard_normal(shape).astype(np.float32)} for _ in range(_EXAMPLES)]
