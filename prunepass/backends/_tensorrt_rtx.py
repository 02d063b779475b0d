"""TensorRT-RTX: the same source as TensorRT, built ahead of time on any machine."""

from __future__ import annotations

from ._tensorrt import Flavour, TensorRt

backend = TensorRt("tensorrt-rtx", Flavour("tensorrt_rtx", "tensorrt-rtx", rtx=True))
