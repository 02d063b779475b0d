"""Networks of torchvision, small, with what each takes: for what is done to a module after a prune."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Subject:
    """A network.

    Attributes:
        shape: what it is captured with.
        other: another shape that it takes; the same image where it takes no other.
        trains: what it is trained on.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = (1, 3, 64, 64)
    other: tuple[int, ...] = (2, 3, 96, 96)
    trains: tuple[int, ...] = (2, 3, 64, 64)


def _named(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        return models.get_model(name, weights=None, **options)

    return build


def _of(path: str, *args: Any, **options: Any) -> Callable[[], nn.Module]:
    """A class or function of torchvision.models with small sizes."""

    def build() -> nn.Module:
        from importlib import import_module

        module, _, name = path.rpartition(".")
        made: nn.Module = getattr(import_module(f"torchvision.models.{module}"), name)(*args, **options)
        return made

    return build


def _convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt(
        [CNBlockConfig(16, 32, 1), CNBlockConfig(32, 64, 2), CNBlockConfig(64, None, 1)], 0.1, num_classes=5
    )


def _segmentation(name: str, **options: Any) -> Callable[[], nn.Module]:
    return _named(name, weights_backbone=None, num_classes=4, **options)


FIXED = (1, 3, 32, 32), (2, 3, 32, 32), (2, 3, 32, 32)
CLIP = (1, 3, 4, 32, 32), (2, 3, 6, 48, 48), (2, 3, 4, 32, 32)
few = partial(_named, num_classes=5)
SUBJECTS: Mapping[str, Subject] = {
    "alexnet": Subject(few("alexnet")),
    "convnext": Subject(_convnext),
    "densenet": Subject(_of("densenet.DenseNet", 8, (2, 2, 2, 2), 16, num_classes=5)),
    "efficientnet_b0": Subject(few("efficientnet_b0")),
    "googlenet": Subject(few("googlenet", aux_logits=True, init_weights=False)),
    # Its auxiliary head takes large images only, so the capture does not reach it.
    "inception_v3": Subject(
        few("inception_v3", aux_logits=True, init_weights=False),
        (1, 3, 75, 75),
        (2, 3, 107, 107),
        (2, 3, 299, 299),
    ),
    "maxvit": Subject(
        _of("maxvit.MaxVit", (32, 32), 16, 2, [16, 32], [1, 1], 8, 0.1, num_classes=5),
        *FIXED,
    ),
    "mnasnet0_5": Subject(few("mnasnet0_5")),
    "mobilenet_v2": Subject(few("mobilenet_v2", width_mult=0.5)),
    "mobilenet_v3_small": Subject(few("mobilenet_v3_small")),
    "regnet_x_400mf": Subject(few("regnet_x_400mf")),
    "regnet_y_400mf": Subject(few("regnet_y_400mf")),
    "resnet18": Subject(few("resnet18")),
    "resnet50": Subject(few("resnet50", width_per_group=16)),
    "resnext50": Subject(few("resnext50_32x4d")),
    "shufflenet_v2_x0_5": Subject(few("shufflenet_v2_x0_5")),
    "squeezenet1_1": Subject(few("squeezenet1_1")),
    "swin": Subject(
        _of("swin_transformer.SwinTransformer", [4, 4], 24, [2, 2], [3, 6], [4, 4], num_classes=5)
    ),
    "vgg11_bn": Subject(few("vgg11_bn", init_weights=False)),
    "vit": Subject(
        _of("vision_transformer.VisionTransformer", 32, 8, 2, 4, 32, 64, num_classes=5),
        *FIXED,
    ),
    "deeplabv3": Subject(_segmentation("deeplabv3_mobilenet_v3_large", aux_loss=True)),
    "fcn": Subject(_segmentation("fcn_resnet50", aux_loss=True)),
    "lraspp": Subject(_segmentation("lraspp_mobilenet_v3_large")),
    "mc3_18": Subject(few("mc3_18"), *CLIP),
    "r2plus1d_18": Subject(few("r2plus1d_18"), *CLIP),
}


def inputs(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))
