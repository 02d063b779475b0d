"""Drawn pages with exact labels: text turned by a quarter, a half or three quarters of a turn, or not at all.

Everything is drawn from a seed with Pillow and its own font, so that a model for page orientation can be
tested on as many pages as one likes without a data set. ``hardness`` brings in what scans and photos suffer:
skew, blur, noise, weak contrast, uneven light, a detail instead of the whole page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.Image import Resampling

LABELS = ("0", "90", "180", "270")
_SIZE = 224
_SHORT = 256
_SCAN = 320
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
_ONSETS = [*"bcdfghlmnprstvw", "th", "st", "pr", "gr", "ch"]
_VOWELS = [*"aeiou", "ea", "ou", "ai"]
_CODAS = ["", "", "", *"nrstl", "nd", "st", "ng"]

Rng: TypeAlias = np.random.Generator
Picture: TypeAlias = Image.Image
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Pages:
    """Pages ready for the network.

    Attributes:
        inputs: float32 of shape (n, 3, 224, 224), normalised as the network was trained.
        labels: index into ``LABELS`` of each page, of shape (n,).
        thumbs: the pages as uint8 of shape (n, 224, 224, 3), as the network sees them.
    """

    inputs: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    thumbs: npt.NDArray[np.uint8]


def draw_pages(count: int, *, hardness: float = 1.0, seed: int = 0) -> Pages:
    """``count`` independent pages, each turned by a random number of quarter turns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(LABELS), count)
    thumbs = np.stack([_seen(_spoil(rng, _Sheet(rng).fill(), hardness), int(label)) for label in labels])
    scaled = (thumbs.astype(np.float32) / 255 - _MEAN) / _STD
    return Pages(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels, thumbs)


def _seen(page: Picture, label: int) -> npt.NDArray[np.uint8]:
    """The image as the network gets it: turned clockwise, short side to 256, the middle 224 x 224."""
    turned = page.rotate(-90 * label, expand=True)
    whole = turned.resize(_scaled(turned, _SHORT), Resampling.LANCZOS)
    left, top = (whole.width - _SIZE) // 2, (whole.height - _SIZE) // 2
    return np.asarray(whole.crop((left, top, left + _SIZE, top + _SIZE)).convert("RGB"))


def _scaled(picture: Picture, short: int) -> tuple[int, int]:
    scale = short / min(picture.size)
    return round(picture.width * scale), round(picture.height * scale)


class _Sheet:
    """A page that is being drawn from top to bottom, column by column."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        width, height = int(rng.integers(480, 760)), int(rng.integers(560, 900))
        self.image = Image.new("L", (width, height), int(rng.integers(225, 256)))
        self.draw = ImageDraw.Draw(self.image)
        self.ink = int(rng.integers(0, 70))
        self.size = int(rng.integers(11, 22))
        self.left = self.y = int(rng.integers(20, 60))
        self.right, self.bottom = width - self.left, height - self.y

    def fill(self) -> Picture:
        if self.rng.random() < 0.6:
            self.text(self.left, _words(self.rng, 4).title(), int(self.rng.integers(24, 40)))
            self.y += 60
        columns, top, gap = int(self.rng.integers(1, 3)), self.y, 24
        inner = (self.right - self.left - gap * (columns - 1)) // columns
        for _ in range(columns):
            self.y, self.right = top, self.left + inner
            while self.y < self.bottom - 3 * self.size:
                parts = (self.paragraph, self.paragraph, self.paragraph, self.rule, self.table, self.figure)
                parts[self.rng.integers(len(parts))]()
                self.y += self.size
            self.left += inner + gap
        return self.image

    def text(self, x: int, text: str, size: int = 0) -> None:
        self.draw.text((x, self.y), text, fill=self.ink, font=_font(size or self.size))

    def rule(self) -> None:
        self.draw.line((self.left, self.y, self.right, self.y), fill=self.ink, width=1)

    def figure(self) -> None:
        height = min(self.bottom - self.y, int(self.rng.integers(40, 120)))
        box = (self.left, self.y, self.right, self.y + height)
        self.draw.rectangle(box, fill=int(self.rng.integers(90, 200)))
        self.y += height

    def paragraph(self) -> None:
        for number in range(self.rng.integers(2, 9)):
            if self.y > self.bottom - self.size:
                return
            line = self._line()
            self.text(self.left, line if number else line.capitalize())
            self.y += int(self.size * 1.35)

    def _line(self) -> str:
        """As many words as fit between the margins."""
        letters = int((self.right - self.left) / _letter_width(self.size))
        return _words(self.rng, letters // 2)[:letters].rsplit(" ", 1)[0]

    def table(self) -> None:
        columns = int(self.rng.integers(2, 5))
        for _ in range(self.rng.integers(2, 6)):
            if self.y > self.bottom - 2 * self.size:
                return
            self.rule()
            for column in range(columns):
                entry = str(self.rng.integers(0, 9999)) if column else _words(self.rng, 1)
                self.text(self.left + 3 + column * (self.right - self.left) // columns, entry)
            self.y += int(self.size * 1.6)


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(float(size))


@cache
def _letter_width(size: int) -> float:
    """Mean width of a letter, a little more to stay within the margins."""
    text = " ".join(_vocabulary()[:100])
    return 1.05 * _font(size).getlength(text) / len(text)


@cache
def _vocabulary() -> list[str]:
    rng = np.random.default_rng(0)
    parts = (_ONSETS, _VOWELS, _CODAS)
    words = (
        "".join(str(rng.choice(p)) for _ in range(rng.integers(1, 4)) for p in parts) for _ in range(500)
    )
    return [
        word + mark for word, mark in zip(words, rng.choice(["", "", "", "", ",", "."], 500), strict=True)
    ]


def _words(rng: Rng, count: int) -> str:
    vocabulary = _vocabulary()
    return " ".join(vocabulary[i] for i in rng.integers(0, len(vocabulary), count))


def _spoil(rng: Rng, page: Picture, hardness: float) -> Picture:
    """The page as a poor scan or photo of it; ``hardness`` 0 leaves it as drawn."""
    page = _detail(rng, page, rng.uniform(0.45, 1.0) if rng.random() < 0.6 * hardness else 1.0)
    page = page.resize(_scaled(page, _SCAN), Resampling.BILINEAR)
    page = page.rotate(
        rng.normal(0, 4 * hardness), Resampling.BICUBIC, fillcolor=np.asarray(page).max().item()
    )
    page = page.filter(ImageFilter.GaussianBlur(abs(rng.normal(0, 0.9 * hardness))))
    data = np.asarray(page, dtype=np.float32)
    contrast = 1 - rng.uniform(0, 0.75) * min(hardness, 1.2)
    light = rng.uniform(-40, 40) + np.linspace(-1, 1, data.shape[1]) * rng.uniform(-50, 50)
    grain = rng.standard_normal(data.shape, dtype=np.float32) * abs(rng.normal(0, 22 * hardness))
    data = 128 + (data - 128) * contrast + light * hardness + grain
    return Image.fromarray(np.clip(data, 0, 255).astype(np.uint8))


def _detail(rng: Rng, page: Picture, share: float) -> Picture:
    width, height = int(page.width * share), int(page.height * share)
    left, top = int(rng.integers(0, page.width - width + 1)), int(rng.integers(0, page.height - height + 1))
    return page.crop((left, top, left + width, top + height))
