"""What the builders share: reproducible weights and statistics that a trained net could have."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """``build()`` in evaluation mode with weights, shifts and running statistics drawn from ``seed``.

    Nothing is left at zero or one: a proof over zero weights proves nothing.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        for parameter in model.parameters():
            if parameter.dim() < 2:
                nn.init.uniform_(parameter, 0.3, 1.2)
    return model.eval()


def images(size: int, channels: int = 3, batch: int = 2, seed: int = 1) -> torch.Tensor:
    """Random images (batch, channels, size, size)."""
    return torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(seed))


def tokens(count: int, vocabulary: int, batch: int = 2, seed: int = 1) -> torch.Tensor:
    """Random token numbers (batch, count)."""
    return torch.randint(vocabulary, (batch, count), generator=torch.Generator().manual_seed(seed))


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias that keeps the size, and its normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))
