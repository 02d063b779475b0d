"""Whole tensors of a plan: in memory a mapping, on disk a safetensors file named by the hash of its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from ..ir import Array, UsageError
from ._files import write_bytes

_NAME = r"^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*$"
_ADVICE = "keep the file that was written with the plan beside it, as it was"


class StoredTensors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The entry of a plan's JSON for its tensors.

    Attributes:
        file: name of the safetensors file, in the folder of the plan.
        hash: SHA-256 of its content.
        names: of the params that it holds, in order.
    """

    file: Annotated[str, msgspec.Meta(pattern=_NAME)]
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    names: tuple[str, ...]


class Tensors(Mapping[str, Array]):
    """Tensors by param name; equal where their content is. They are not to be written to.

    Args:
        read_from: name of the file that holds them already.
    """

    def __init__(self, arrays: Mapping[str, Any] | None = None, read_from: str = "") -> None:
        self._read_from = read_from
        given = {str(name): array for name, array in sorted((arrays or {}).items())}
        self._arrays: dict[str, Array] = {
            name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in given.items()
        }

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensors) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self.stored.hash)

    def __repr__(self) -> str:
        return f"Tensors({', '.join(f'{name}: {array.shape}' for name, array in self._arrays.items())})"

    @cached_property
    def _content(self) -> bytes:
        from safetensors.numpy import save

        return save(self._arrays)

    @cached_property
    def stored(self) -> StoredTensors:
        """Where they are stored, and what holds them to that."""
        digest = hashlib.sha256(self._content).hexdigest()
        return StoredTensors(f"tensors-{digest[:16]}.safetensors", digest, tuple(self._arrays))

    @property
    def file(self) -> str:
        """Name of the file that they were read from, or will be written to."""
        return self._read_from or self.stored.file

    def stored_as(self, name: str | None) -> StoredTensors:
        """Where they are stored in a file called ``name``, by their hash without.

        Raises:
            UsageError: a plan cannot name such a file.
        """
        if name is None:
            return self.stored
        if not re.fullmatch(_NAME, name):
            advice = "letters, digits, - and _, with single dots between them, make a name everywhere"
            raise UsageError("a plan cannot name such a file", where=name, advice=advice)
        return msgspec.structs.replace(self.stored, file=name)

    def write(self, folder: Path, name: str | None = None) -> Path | None:
        """Write their file into ``folder``; what is returned is new, None where it has been there before.

        Args:
            name: as for :meth:`stored_as`.
        """
        file = folder / self.stored_as(name).file
        if file.is_file() and file.read_bytes() == self._content:
            return None
        write_bytes(file, self._content)
        return file

    @staticmethod
    def read(folder: Path, stored: StoredTensors) -> Tensors:
        """The tensors that were written into ``folder``.

        Raises:
            UsageError: the file is missing, or is not what was written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        file = folder / stored.file
        try:
            content = file.read_bytes()
        except OSError as error:
            what = f"the tensors of the plan cannot be read: {error.strerror}"
            raise UsageError(what, where=str(file), advice=_ADVICE) from error
        altered = UsageError("the tensors of the plan were altered", where=str(file), advice=_ADVICE)
        if hashlib.sha256(content).hexdigest() != stored.hash:
            raise altered
        try:
            found = Tensors(load(content), stored.file)
        except SafetensorError as error:
            raise altered from error
        if tuple(found) != stored.names:
            raise altered
        return found


def as_stored(data: Array, dtype: str) -> Array:
    """``data`` as a model stores it in ``dtype``: numpy has no bfloat16, so that float32 stands for it, rounded."""
    if dtype != "bfloat16" or data.dtype != np.float32:
        return data
    bits = data.view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) & np.uint32(0xFFFF0000)).view(
        np.float32
    )
    return np.where(np.isfinite(data), rounded, data)
