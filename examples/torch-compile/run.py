"""Prune a module, compile the whole of it, and hold the two against each other."""

from __future__ import annotations

import sys

import torch
from torch import nn

import prunepass as pp


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10)).eval()


if __name__ == "__main__":
    image = torch.randn(1, 3, 16, 16)
    small = pp.prune(network(), image, budget="macs=0.5", align=8).model
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(small, fullgraph=True)(image), small(image))
    sys.stdout.write("equal\n")
