"""Convolutional nets, each with one thing that pruners stumble over."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.zoo.parts import conv_bn, images, seeded

Sample = tuple[nn.Module, torch.Tensor]


class PlainNet(nn.Module):
    """Channels leave the feature maps through a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 20, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(20 * 4 * 4, 32), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.relu(self.fc1(torch.flatten(x, 1))))


def plain() -> Sample:
    return seeded(PlainNet), images(16)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // reduction, 1)
        self.expand = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(s))))


def squeeze_excite() -> Sample:
    """Gates per channel."""
    return seeded(
        lambda: nn.Sequential(
            *conv_bn(3, 16),
            nn.ReLU(),
            SqueezeExcite(16),
            *conv_bn(16, 24),
            nn.SiLU(),
            SqueezeExcite(24),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        )
    ), images(16)


class ShuffleBlock(nn.Module):
    """Half of the channels pass by; the halves are shuffled together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            *conv_bn(half, half, 1),
            nn.ReLU(),
            *conv_bn(half, half, 3, groups=half),
            *conv_bn(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width)
        return torch.transpose(x, 1, 2).contiguous().view(batch, channels, height, width)


def channel_shuffle() -> Sample:
    return seeded(
        lambda: nn.Sequential(
            *conv_bn(3, 16),
            nn.ReLU(),
            ShuffleBlock(16),
            ShuffleBlock(16),
            *conv_bn(16, 20, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(20, 10),
        )
    ), images(16)


class C2f(nn.Module):
    """YOLO's block: chunk, a chain of bottlenecks on one half, everything concatenated."""

    def __init__(self, inputs: int, outputs: int, count: int = 2) -> None:
        super().__init__()
        self.c = outputs // 2
        self.cv1 = nn.Sequential(*conv_bn(inputs, 2 * self.c, 1), nn.SiLU())
        self.cv2 = nn.Sequential(*conv_bn((2 + count) * self.c, outputs, 1), nn.SiLU())
        self.m = nn.ModuleList(
            nn.Sequential(*conv_bn(self.c, self.c), nn.SiLU(), *conv_bn(self.c, self.c), nn.SiLU())
            for _ in range(count)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            parts.append(parts[-1] + block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class C2fSplit(C2f):
    """The same, with the number of channels as an attribute."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.cv1(x).split((self.c, self.c), 1))
        parts.extend(block(parts[-1]) for block in self.m)
        return self.cv2(torch.cat(parts, 1))


def yolo_c2f() -> Sample:
    return seeded(
        lambda: nn.Sequential(*conv_bn(3, 16), nn.SiLU(), C2f(16, 16), C2fSplit(16, 24), nn.Conv2d(24, 8, 1))
    ), images(16)


class ConvNorm(nn.Module):
    """3x3 convolution, GroupNorm, SiLU."""

    def __init__(self, inputs: int, outputs: int, groups: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.silu(self.norm(self.conv(x)))


class SpatialAttention(nn.Module):
    """Self-attention over positions, as diffusion U-Nets have it."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.norm = nn.GroupNorm(4, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, *space = x.shape
        flat = x.reshape(batch, channels, -1)
        q, k, v = (
            self.qkv(self.norm(flat)).reshape(batch * self.num_heads, -1, flat.shape[-1]).chunk(3, dim=1)
        )
        scale = q.shape[1] ** -0.5
        weights = torch.softmax(torch.einsum("bct,bcs->bts", q * scale, k), dim=-1)
        mixed = torch.einsum("bts,bcs->bct", weights, v).reshape(batch, -1, flat.shape[-1])
        return (flat + self.proj(mixed)).reshape(batch, channels, *space)


class UNet(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down1, self.down2 = ConvNorm(3, width), ConvNorm(width, 2 * width)
        self.middle = ConvNorm(2 * width, 2 * width)
        self.attention = SpatialAttention(2 * width, 2)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.up1, self.up2 = ConvNorm(width + 2 * width, width), ConvNorm(width + width, width)
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.down1(x)
        two = self.down2(functional.avg_pool2d(one, 2))
        bottom = self.attention(self.middle(functional.max_pool2d(two, 2)))
        y = self.up1(torch.cat((self.up(bottom), two), dim=1))
        y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
        return self.out(self.up2(torch.cat((y, one), dim=1)))


def unet() -> Sample:
    """GroupNorm, skips through concat, attention over positions, transposed convolution."""
    return seeded(UNet), images(16)


class Aspp(nn.Module):
    """Parallel dilated convolutions and a pooled branch."""

    def __init__(self, inputs: int, outputs: int, rates: tuple[int, ...] = (1, 2, 3)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            )
            for rate in rates
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU())
        self.project = nn.Sequential(*conv_bn((len(rates) + 1) * outputs, outputs, 1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [branch(x) for branch in self.branches]
        pooled = functional.interpolate(
            self.pooled(x), size=x.shape[-2:], mode="bilinear", align_corners=False
        )
        return self.project(torch.cat([*found, pooled], dim=1))


class DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*conv_bn(3, 12, 3, 2), nn.ReLU(), *conv_bn(12, 20), nn.ReLU())
        self.aspp = Aspp(20, 16)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.head(self.aspp(self.backbone(x)))
        return {"out": functional.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)}


def deeplab() -> Sample:
    return seeded(DeepLab), images(24)
