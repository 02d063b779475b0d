"""Pictures of a demonstration, drawn with Pillow alone: a chart of the networks, a sheet of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ._nets import Net, Share

Picture: TypeAlias = Image.Image
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_INK, _FAINT, _LINE, _PAPER = (30, 38, 48), (120, 130, 142), (222, 227, 233), (255, 255, 255)
_FAST, _SLOW, _DOT = (47, 125, 107), (192, 80, 62), (52, 96, 168)
_GOOD, _BAD = (56, 142, 60), (198, 55, 44)
_ROW, _NAME, _PANEL, _GAP, _TOP = 58, 270, 400, 90, 120


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(float(size))


@dataclass(frozen=True)
class _Axis:
    """A horizontal axis from ``low`` to ``high`` that starts at pixel ``left``."""

    left: int
    low: float
    high: float

    def at(self, value: float) -> float:
        return self.left + _PANEL * (value - self.low) / (self.high - self.low)


def draw_chart(title: str, nets: Sequence[Net], footer: str) -> Picture:
    """A row for each network: how fast it became, and every share with its interval."""
    names = list(nets[0].shares)
    width = _NAME + (1 + len(names)) * (_PANEL + _GAP) + 20
    image = Image.new("RGB", (width, _TOP + _ROW * len(nets) + 70), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((24, 22), title, fill=_INK, font=_font(28))
    draw.text((24, image.height - 36), footer, fill=_FAINT, font=_font(16))
    for row, net in enumerate(nets):
        y = _TOP + _ROW * row
        draw.line((24, y, width - 24, y), fill=_LINE)
        draw.text((24, y + 9), net.name, fill=_INK, font=_font(20))
        draw.text((24, y + 34), f"{100 * net.macs:.0f} % of the MACs", fill=_FAINT, font=_font(14))
    _speeds(draw, nets, _NAME)
    for panel, name in enumerate(names, 1):
        _shares(draw, name, [net.shares[name] for net in nets], _NAME + panel * (_PANEL + _GAP))
    return image


def _speeds(draw: ImageDraw.ImageDraw, nets: Sequence[Net], left: int) -> None:
    ratios = [net.speed.faster("cpu") if net.speed else None for net in nets]
    axis = _Axis(left, 0.0, 1.15 * max([1.0, *(ratio.p90 for ratio in ratios if ratio)]))
    _heading(draw, left, "times as fast as the original (CPU time)")
    _mark(draw, axis.at(1.0), len(nets))
    for row, ratio in enumerate(ratios):
        if ratio is None:
            continue
        top = _TOP + _ROW * row + 14
        colour = _FAST if ratio.median >= 1 else _SLOW
        draw.rectangle((left, top, axis.at(ratio.median), top + 28), fill=colour if row else _FAINT)
        x = axis.at(ratio.median) + 8
        draw.rectangle((x - 2, top, x + 52, top + 28), fill=_PAPER)
        draw.text((x, top + 3), f"{ratio.median:.2f}x", fill=_INK, font=_font(18))


def _shares(draw: ImageDraw.ImageDraw, name: str, shares: Sequence[Share], left: int) -> None:
    lowest = min(share.interval[0] for share in shares)
    axis = _Axis(left, max(0.0, lowest - 0.05), 1.0)
    _heading(draw, left, f"{name}, 95 % interval")
    _mark(draw, axis.at(shares[0].value), len(shares))
    for row, share in enumerate(shares):
        y = _TOP + _ROW * row + 28
        low, high = share.interval
        draw.line((axis.at(low), y, axis.at(high), y), fill=_DOT, width=3)
        x = axis.at(share.value)
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=_DOT if row else _FAINT)
        draw.text((left + _PANEL + 16, y - 11), f"{100 * share.value:.1f}", fill=_INK, font=_font(18))


def _heading(draw: ImageDraw.ImageDraw, left: int, text: str) -> None:
    draw.text((left, _TOP - 30), text, fill=_FAINT, font=_font(17))


def _mark(draw: ImageDraw.ImageDraw, x: float, rows: int) -> None:
    """A dashed line down all rows: where the original stands."""
    for y in range(_TOP, _TOP + _ROW * rows, 10):
        draw.line((x, y, x, y + 5), fill=_FAINT)


@dataclass(frozen=True)
class Sample:
    """A picture and what each network said of it: text and whether that is right."""

    pixels: npt.NDArray[Any]
    truth: str
    said: Sequence[tuple[str, bool]]


def draw_sheet(title: str, samples: Sequence[Sample], names: Sequence[str], columns: int = 8) -> Picture:
    """A sheet of samples; under each what the networks called ``names`` said, green where right."""
    side, line = 168, 19
    cell_width, cell_height = side + 20, side + 30 + line * len(names)
    rows = -(-len(samples) // columns)
    image = Image.new("RGB", (24 + columns * cell_width, 84 + rows * cell_height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((24, 22), title, fill=_INK, font=_font(26))
    for at, sample in enumerate(samples):
        left, top = 24 + at % columns * cell_width, 74 + at // columns * cell_height
        small = Image.fromarray(sample.pixels).resize((side, side), Image.Resampling.LANCZOS)
        image.paste(small, (left, top))
        draw.rectangle((left, top, left + side, top + side), outline=_LINE)
        draw.text((left, top + side + 4), sample.truth, fill=_INK, font=_font(15))
        for row, (name, (text, right)) in enumerate(zip(names, sample.said, strict=True)):
            y = top + side + 4 + line * (row + 1)
            said = _fitting(draw, f"{name}: {text}", cell_width - 8)
            draw.text((left, y), said, fill=_GOOD if right else _BAD, font=_font(14))
    return image


def _fitting(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """``text``, shortened until it is no wider than ``width``."""
    short = text
    while draw.textlength(short, _font(14)) > width:
        short = short.removesuffix("...")[:-1] + "..."
    return short
