"""Networks of the comparison of engines that torchvision does not have: a detector, a U-Net, EfficientNet-Lite0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._vision import network

_SIZES = {"yolo": 320, "unet": 128}


def bench_network(name: str) -> Any:
    """A network in evaluation mode with random weights, the same ones every time."""
    import torch

    made = _MADE.get(name)
    if made is None:
        return network(name)
    torch.manual_seed(0)
    return made().eval()


def size_of(name: str) -> int:
    """Pixels along each side of the image that ``name`` takes."""
    return _SIZES.get(name, 224)


def _lite0() -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-lite0")


def _yolo() -> Any:
    """The shape of YOLOv8n: C2f blocks with chunk and concat, a pooled pyramid, heads at three scales."""
    from ._detector import Detector

    return Detector()


def _unet() -> Any:
    from ._detector import UNet

    return UNet()


_MADE: dict[str, Callable[[], Any]] = {"efficientnet_lite0": _lite0, "yolo": _yolo, "unet": _unet}
