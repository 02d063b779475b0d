"""Every architecture by name: builders that give ``(model, example inputs)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from tests.zoo import cifar, text, vision

ZOO: Mapping[str, Callable[[], tuple[nn.Module, Any]]] = {
    "plain": vision.plain,
    "digits": cifar.digits,
    "cifar_resnet50": cifar.resnet50,
    "cifar_resnet101": cifar.resnet101,
    "cifar_mobilenet_v2": cifar.mobilenet_v2,
    "squeeze_excite": vision.squeeze_excite,
    "channel_shuffle": vision.channel_shuffle,
    "yolo_c2f": vision.yolo_c2f,
    "unet": vision.unet,
    "deeplab": vision.deeplab,
    "gpt": text.gpt,
    "grouped_query": text.grouped_query,
    "grouped_query_strided": text.grouped_query_strided,
    "crossing": text.crossing,
}
