"""Data in files: arrays of numpy, and folders of images, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...ir import Array, Graph, UsageError, is_float
from ._inputs import TARGETS

BATCH = 32
"""Samples in a batch where the data come in one piece."""
_NAMED = 3
"""Files that a message names."""
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, eq=False)
class Slices:
    """Arrays of many samples, batch by batch, each with its part of the target.

    Attributes:
        arrays: by input name; by position where the names are numbers.
    """

    arrays: Mapping[str, Any]
    target: Any = None
    batch: int = BATCH

    def __post_init__(self) -> None:
        lengths = {
            len(array) for array in (*self.arrays.values(), *([] if self.target is None else [self.target]))
        }
        if len(lengths) > 1:
            raise UsageError(f"the arrays of the data hold different numbers of samples: {sorted(lengths)}")

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        count = len(next(iter(self.arrays.values()), ()))
        numbered = all(name.isdecimal() for name in self.arrays)
        for at in range(0, count, self.batch):
            part = {name: array[at : at + self.batch] for name, array in self.arrays.items()}
            target = None if self.target is None else self.target[at : at + self.batch]
            yield (tuple(part.values()) if numbered else part), target


def from_mapping(given: Mapping[str, Any]) -> Slices:
    """Arrays by name, those called ``target`` or ``labels`` apart; ``arr_0`` and so on are in order."""
    arrays = {str(name): array for name, array in given.items() if name not in TARGETS}
    target = next((given[name] for name in TARGETS if name in given), None)
    if all(name.startswith("arr_") for name in arrays):
        arrays = {name[4:]: array for name, array in arrays.items()}
    return Slices(arrays, target)


def from_file(path: Path) -> Slices | Images:
    """Data from a ``.npz`` or ``.npy`` file, or from a folder of images.

    Raises:
        UsageError: there is no such thing, or it is something else.
    """
    if path.is_dir():
        return Images.of(path)
    if not path.is_file():
        raise UsageError("there is no such file or folder", where=str(path))
    if path.suffix not in (".npz", ".npy"):
        raise UsageError(
            "a data file is an .npz or .npy file, or a folder of images",
            where=str(path),
            advice="numpy.savez(path, INPUT=array, target=classes) writes one",
        )
    try:
        found = np.load(path, allow_pickle=False)
        return (
            Slices({"0": found})
            if isinstance(found, np.ndarray)
            else from_mapping({n: found[n] for n in found})
        )
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"it cannot be read: {error}", where=str(path)) from error


@dataclass(frozen=True, eq=False)
class Images:
    """A folder of images; where they lie in subfolders, these are their classes, in the order of their names.

    Attributes:
        files: with the class of each, -1 where there are none.
        skipped: names of files that turned out not to be images.
    """

    files: tuple[tuple[Path, int], ...]
    batch: int = BATCH
    skipped: list[str] = field(default_factory=list[str], repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names of files that could not be read, as far as files have been read."""
        if not self.skipped:
            return ()
        more = len(self.skipped) - _NAMED
        named = ", ".join(self.skipped[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return (f"{len(self.skipped)} of {len(self.files)} images cannot be read and are left out: {named}",)

    @staticmethod
    def of(folder: Path) -> Images:
        """The images in ``folder``, or in its subfolders."""
        classes = sorted(path for path in folder.iterdir() if path.is_dir())
        listed = [(folder, -1), *((path, number) for number, path in enumerate(classes))]
        files = [
            (file, number)
            for place, number in listed
            for file in sorted(place.iterdir() if number < 0 else place.rglob("*"))
            if file.suffix.lower() in _IMAGES
        ]
        if not files:
            raise UsageError(
                "there are no images in it", where=str(folder), advice=f"images are {', '.join(_IMAGES)}"
            )
        return Images(tuple(files))

    def of_graph(self, graph: Graph) -> Iterator[tuple[Any, Any]]:
        """Batches in the size and form of the graph's only input: cut to its middle, floats from 0 to 1."""
        form, read = _Form.of(graph), 0
        for at in range(0, len(self.files), self.batch):
            found = [
                (image, number)
                for file, number in self.files[at : at + self.batch]
                for image in [self._read(form, file)]
                if image is not None
            ]
            if found:
                read += len(found)
                classes = np.array([number for _, number in found])
                images = np.stack([image for image, _ in found])
                yield (images,), None if np.any(classes < 0) else classes
        if not read:
            raise UsageError(
                f"none of the {len(self.files)} images can be read: {', '.join(self.skipped[:_NAMED])}",
                where=str(self.files[0][0].parent),
            )

    def _read(self, form: _Form, file: Path) -> Array | None:
        """One image; None, and its name noted, where it cannot be read."""
        try:
            return form.read(file)
        except OSError:
            if file.name not in self.skipped:
                self.skipped.append(file.name)
            return None


@dataclass(frozen=True)
class _Form:
    """The layout of images in an input: number of colours, height, width, whether colours are last, its type."""

    colours: int
    height: int
    width: int
    last: bool
    dtype: str

    @staticmethod
    def of(graph: Graph) -> _Form:
        shapes = [graph.values[name].shape for name in graph.inputs]
        if len(shapes) == 1 and len(shapes[0]) == 4:
            _, *sizes = shapes[0]
            dtype = graph.values[graph.inputs[0]].dtype
            if sizes[0] in (1, 3, 4):
                return _Form(sizes[0], sizes[1], sizes[2], False, dtype)
            if sizes[2] in (1, 3, 4):
                return _Form(sizes[2], sizes[0], sizes[1], True, dtype)
        raise UsageError(
            f"a folder of images is no data for a model whose inputs have the shapes {shapes}",
            advice="give an .npz file with an array for each input",
        )

    def read(self, file: Path) -> Array:
        """One image: its short side fitted, its middle taken.

        Raises:
            OSError: the file is no image, or a broken one.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise UsageError("reading images needs Pillow", advice="pip install pillow") from error
        try:
            with Image.open(file) as opened:
                image = opened.convert({1: "L", 3: "RGB", 4: "RGBA"}[self.colours])
        except (
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:  # of broken PNG and TIFF files
            raise OSError(f"it cannot be read as an image: {error}") from error
        scale = max(self.width / image.width, self.height / image.height)
        size = max(self.width, round(image.width * scale)), max(self.height, round(image.height * scale))
        left, top = (size[0] - self.width) // 2, (size[1] - self.height) // 2
        image = image.resize(size, Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + self.width, top + self.height))
        pixels = np.asarray(image).reshape(self.height, self.width, self.colours)
        whole = pixels.astype(np.float32) / 255 if is_float(self.dtype) else pixels
        return whole if self.last else np.ascontiguousarray(whole.transpose(2, 0, 1))
