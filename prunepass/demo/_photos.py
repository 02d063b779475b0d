"""Real photographs that packages ship, and crops of them. Only the files are read, no package is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ._find import shipped

_SIZE, _SHORT = 224, 256
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
_LOOSE = {
    "scikit-learn": ("sklearn/datasets/images", ("china.jpg", "flower.jpg")),
    "scikit-image": (
        "skimage/data",
        (
            "astronaut.png",
            "brick.png",
            "chelsea.png",
            "clock_motion.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "motorcycle_left.png",
            "rocket.jpg",
        ),
    ),
}
_LABELLED = ("foolbox", "foolbox/data", "imagenet_*_*.jpg")


@dataclass(frozen=True)
class Photos:
    """Crops ready for the network.

    Attributes:
        inputs: float32 of shape (n, 3, 224, 224), normalised for ImageNet.
        pixels: uint8 of shape (n, 224, 224, 3).
        source: number of the photo that each crop is from, of shape (n,).
        names: of the photos.
    """

    inputs: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.uint8]
    source: npt.NDArray[np.int64]
    names: tuple[str, ...]


def labelled() -> tuple[Photos, npt.NDArray[np.int64]]:
    """ImageNet photos, the middle of each, and their classes (0 to 999); the class is in the file's name."""
    files = _labelled_files()
    crops = [_middle(Image.open(file).convert("RGB")) for file in files]
    classes = np.array([int(file.stem.rpartition("_")[2]) for file in files])
    return _photos(files, crops, np.arange(len(files))), classes


def crops(each: int, seed: int = 0) -> Photos:
    """``each`` random crops of every photo: 30 to 100 % of its area, half of them mirrored."""
    rng = np.random.default_rng(seed)
    files = [*_labelled_files(), *_loose_files()]
    made = []
    for file in files:
        photo = Image.open(file).convert("RGB")
        made += [_random(rng, photo) for _ in range(each)]
    return _photos(files, made, np.repeat(np.arange(len(files)), each))


def _labelled_files() -> list[Path]:
    package, inside, pattern = _LABELLED
    return sorted(shipped(package, inside).glob(pattern))


def _loose_files() -> list[Path]:
    return [
        shipped(package, f"{inside}/{name}") for package, (inside, names) in _LOOSE.items() for name in names
    ]


def _middle(photo: Image.Image) -> Image.Image:
    scale = _SHORT / min(photo.size)
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
    left, top = (small.width - _SIZE) // 2, (small.height - _SIZE) // 2
    return small.crop((left, top, left + _SIZE, top + _SIZE))


def _random(rng: np.random.Generator, photo: Image.Image) -> Image.Image:
    side = min(int((photo.width * photo.height * rng.uniform(0.3, 1.0)) ** 0.5), *photo.size)
    left, top = int(rng.integers(photo.width - side + 1)), int(rng.integers(photo.height - side + 1))
    box = (left, top, left + side, top + side)
    crop = photo.resize((_SIZE, _SIZE), Image.Resampling.BILINEAR, box=box)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def _photos(files: Sequence[Path], made: Sequence[Image.Image], source: npt.NDArray[np.int64]) -> Photos:
    pixels = np.stack([np.asarray(crop) for crop in made])
    scaled = (pixels.astype(np.float32) / 255 - _MEAN) / _STD
    inputs = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
    return Photos(inputs, pixels, source, tuple(file.stem for file in files))
