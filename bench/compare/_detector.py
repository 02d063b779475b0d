"""A detector and a U-Net as users have them, without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


class C2f(nn.Module):
    """Half of the channels goes through a chain of blocks, and everything is joined."""

    def __init__(self, inputs: int, outputs: int, count: int, shortcut: bool = True) -> None:
        super().__init__()
        half, self.shortcut = outputs // 2, shortcut
        self.enter = conv(inputs, outputs, 1)
        self.blocks = nn.ModuleList(nn.Sequential(conv(half, half), conv(half, half)) for _ in range(count))
        self.leave = conv((2 + count) * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        for block in self.blocks:
            made = block(parts[-1])
            parts.append(parts[-1] + made if self.shortcut else made)
        return self.leave(torch.cat(parts, 1))


class PooledPyramid(nn.Module):
    """Three poolings one after the other, joined with what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.leave = conv(channels, channels // 2, 1), conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.leave(torch.cat(parts, 1))


class Head(nn.Module):
    """Boxes and classes from one scale."""

    def __init__(self, channels: int, boxes: int = 64, classes: int = 80) -> None:
        super().__init__()
        self.box = nn.Sequential(conv(channels, 64), conv(64, 64), nn.Conv2d(64, boxes, 1))
        self.kind = nn.Sequential(conv(channels, 80), conv(80, 80), nn.Conv2d(80, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.box(x), self.kind(x)), 1).flatten(2)


class Detector(nn.Module):
    """Backbone, a path up and a path down, three heads; input a multiple of 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), C2f(32, 32, 1))
        self.third = nn.Sequential(conv(32, 64, 3, 2), C2f(64, 64, 2))
        self.fourth = nn.Sequential(conv(64, 128, 3, 2), C2f(128, 128, 2))
        self.fifth = nn.Sequential(conv(128, 256, 3, 2), C2f(256, 256, 1), PooledPyramid(256))
        self.up4, self.up3 = C2f(384, 128, 1, False), C2f(192, 64, 1, False)
        self.down3, self.down4 = conv(64, 64, 3, 2), conv(128, 128, 3, 2)
        self.out4, self.out5 = C2f(192, 128, 1, False), C2f(384, 256, 1, False)
        self.heads = nn.ModuleList(Head(channels) for channels in (64, 128, 256))

    def forward(self, x: Tensor) -> Tensor:
        three = self.third(self.stem(x))
        four = self.fourth(three)
        five = self.fifth(four)
        up4 = self.up4(torch.cat((functional.interpolate(five, scale_factor=2.0), four), 1))
        out3 = self.up3(torch.cat((functional.interpolate(up4, scale_factor=2.0), three), 1))
        out4 = self.out4(torch.cat((self.down3(out3), up4), 1))
        out5 = self.out5(torch.cat((self.down4(out4), five), 1))
        return torch.cat([head(y) for head, y in zip(self.heads, (out3, out4, out5), strict=True)], 2)


class _Twice(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()),
        )


class UNet(nn.Module):
    """Four scales, skips by concatenation, transposed convolutions."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**at for at in range(4)]
        self.down = nn.ModuleList(_Twice(a, b) for a, b in zip((3, *widths), widths, strict=False))
        pairs = list(zip(widths[1:], widths, strict=False))[::-1]
        self.lift = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(_Twice(2 * b, b) for _, b in pairs)
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = list[Tensor]()
        for at, step in enumerate(self.down):
            x = step(functional.max_pool2d(x, 2) if at else x)
            skips.append(x)
        for lift, step, skip in zip(self.lift, self.up, skips[-2::-1], strict=True):
            x = step(torch.cat((skip, lift(x)), 1))
        return self.out(x)
