"""Architectures as torchvision writes them: helper functions, attributes handed down, windows, buffers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import fx, nn

from prunepass.hosts.torch import capture, export
from prunepass.ir import verify_graph
from tests.hosts.torch.trials import assert_computes, count, cut_graph, cut_module, double
from tests.zoo.parts import images, seeded


def _swin() -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    return SwinTransformer([4, 4], 24, [2, 2], [3, 6], [4, 4], num_classes=5)


def _vit() -> nn.Module:
    from torchvision.models.vision_transformer import VisionTransformer

    return VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=5)


def _named(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        return models.get_model(name, weights=None)

    return build


NETS: dict[str, Callable[[], nn.Module]] = {
    **{
        name: _named(name)
        for name in ("resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2_x0_5", "squeezenet1_1")
    },
    "swin": _swin,
    "vit": _vit,
}
CUT = ("resnet18", "shufflenet_v2_x0_5", "swin", "vit")


@cache
def sample(name: str) -> tuple[nn.Module, torch.Tensor, fx.GraphModule]:
    model, inputs = double((seeded(NETS[name]), images(32)))
    return model, inputs, export(model, inputs)


@pytest.mark.parametrize("name", NETS)
def test_the_graph_computes_what_the_module_computes(name: str) -> None:
    model, inputs, module = sample(name)
    graph = capture(module)
    verify_graph(graph)
    assert_computes(model, inputs, graph, module)


@pytest.mark.parametrize("name", CUT)
def test_the_module_follows_a_cut(name: str) -> None:
    model, inputs, module = sample(name)
    small, after, attempts = cut_module(model, inputs, module=module)
    assert attempts <= 4
    assert count(small) < 0.75 * count(model)
    assert_computes(small, inputs, after, module)


@pytest.mark.parametrize("name", CUT)
def test_the_graph_module_follows_a_cut(name: str) -> None:
    model, inputs, module = sample(name)
    small, after = cut_graph(model, inputs, module=module)
    assert count(small) < 0.6 * count(model)
    assert_computes(small, inputs, after, module)
