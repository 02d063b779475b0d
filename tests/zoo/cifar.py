"""The nets of small-image benchmarks: bottleneck ResNets and MobileNetV2 for 32 x 32, a ResNet for digits."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.zoo.parts import images, seeded

Sample = tuple[nn.Module, torch.Tensor]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; the shortcut is a convolution where shapes differ."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * planes
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.shortcut(x)
        return functional.relu(y)


class BottleneckNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], width: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs, stages = width, []
        for index, count in enumerate(blocks):
            planes, stage = width * 2**index, []
            for block in range(count):
                stage.append(Bottleneck(inputs, planes, 2 if index and not block else 1))
                inputs = planes * Bottleneck.expansion
            stages.append(nn.Sequential(*stage))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = functional.avg_pool2d(x, 4)
        return self.linear(x.view(x.size(0), -1))


def resnet50(width: int = 8) -> Sample:
    """ResNet-50 for 32 x 32 images; the published one has ``width`` 64."""
    return seeded(lambda: BottleneckNet((3, 4, 6, 3), width)), images(32)


def resnet101(width: int = 8) -> Sample:
    return seeded(lambda: BottleneckNet((3, 4, 23, 3), width)), images(32)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; at stride 1 always with a shortcut, a convolution where channels differ."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        planes = expansion * inputs
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=planes, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride == 1 and inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.stride == 1 else y


class MobileNetV2(nn.Module):
    stages = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, divisor: int, classes: int = 10) -> None:
        super().__init__()
        inputs, blocks = 32 // divisor, list[nn.Module]()
        self.conv1 = nn.Conv2d(3, inputs, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        for expansion, width, count, stride in self.stages:
            for index in range(count):
                blocks.append(InvertedResidual(inputs, width // divisor, expansion, 1 if index else stride))
                inputs = width // divisor
        self.layers = nn.Sequential(*blocks)
        self.conv2 = nn.Conv2d(inputs, 1280 // divisor, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280 // divisor)
        self.linear = nn.Linear(1280 // divisor, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(functional.relu(self.bn1(self.conv1(x))))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.avg_pool2d(x, 4)
        return self.linear(x.view(x.size(0), -1))


def mobilenet_v2(divisor: int = 4) -> Sample:
    """MobileNetV2 for 32 x 32 images, all widths divided by ``divisor``."""
    return seeded(lambda: MobileNetV2(divisor)), images(32)


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.skip(x))


def digits_net(widths: tuple[int, ...] = (16, 32, 64)) -> nn.Module:
    """An untrained residual net for 8 x 8 or 28 x 28 digits, two blocks a stage."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, widths[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    inputs = widths[0]
    for index, width in enumerate(widths):
        layers += [BasicBlock(inputs, width, 2 if index else 1), BasicBlock(width, width, 1)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def digits() -> Sample:
    return seeded(digits_net), images(8, channels=1)
