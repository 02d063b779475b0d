"""Networks of torchvision, with random weights, by name."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_DECLARED: list[object] = []
_TINY = 1e-3


def torchvision_models() -> ModuleType:
    """``torchvision.models``, also where torchvision's compiled part is missing or built for another torch."""
    try:
        return import_module("torchvision.models")
    except RuntimeError:
        _declare_operators()
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return import_module("torchvision.models")


def _declare_operators() -> None:
    """The schemas that torchvision's Python part wants at import; no classifier uses them."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)  # the declarations last as long as the library object


def network(name: str) -> Any:
    """A torchvision classifier in evaluation mode, the same weights every time.

    What starts at zero or close to it (shifts, layer scales, the head of ViT) is drawn too: it would hide faults.
    """
    import torch

    torch.manual_seed(0)
    options: dict[str, Any] = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    model = getattr(torchvision_models(), name)(weights=None, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if float(parameter.abs().max()) < _TINY:
                parameter.normal_(std=0.1)
    return model


def image(size: int = 224, batch: int = 1) -> Any:
    """A random image batch."""
    import torch

    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
