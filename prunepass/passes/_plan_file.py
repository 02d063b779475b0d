"""Plans as files: JSON with sorted keys, and whole tensors in a safetensors file beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..ir import UsageError, path_of
from ._files import write_text
from ._tensors import StoredTensors, Tensors

if TYPE_CHECKING:
    from ._plan import Plan

FORMATS = (1, 2)
# Fields that the first format did not have; one that holds nothing is not written.
NEW = ("tensors", "free")


def to_json(plan: Plan, tensors: str | None = None) -> str:
    """One JSON document with sorted keys, of the first format that can say all of it.

    Args:
        tensors: name of the file of its tensors; by the hash of their content without.
    """

    def encoded(value: Any) -> Any:
        return msgspec.to_builtins(value.stored_as(tensors)) if value else None

    data = msgspec.to_builtins(plan, enc_hook=encoded)
    return (
        json.dumps(
            {key: value for key, value in data.items() if value or key not in NEW}, indent=1, sort_keys=True
        )
        + "\n"
    )


def save(plan: Plan, path: str | os.PathLike[str], tensors: str | None = None) -> None:
    """Write both files; the plan appears last, and where it cannot, what was written for it goes.

    Args:
        tensors: as for :func:`to_json`; such a file is written even where there is nothing to hold.

    Raises:
        UsageError: they cannot be written, or the name of the tensors' file is none.
    """
    target = path_of(path, "give the name of a file")
    needed = bool(plan.tensors) or tensors is not None
    made = plan.tensors.write(target.parent, tensors) if needed else None
    try:
        write_text(target, to_json(plan, tensors))
    except BaseException:
        if made is not None:
            made.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str], kind: type[Plan]) -> Plan:
    """Read a plan of ``kind`` and its tensors.

    Raises:
        UsageError: a file is missing, altered, no plan, or of a newer format.
    """
    file = path_of(path, "give the file of a plan")
    try:
        data = msgspec.json.decode(file.read_bytes())
        _check_format(data, str(path))
        return msgspec.convert(data, kind, dec_hook=_decoder(file.parent))
    except OSError as error:
        raise UsageError(f"cannot read the plan: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(
            f"not a plan: {error}", where=str(path), advice="write one with --plan-out"
        ) from error


def _check_format(data: Any, where: str) -> None:
    """A newer format is named before anything is said of what it holds."""
    found = data.get("format", 1) if isinstance(data, Mapping) else 1
    if isinstance(found, int) and found not in FORMATS:
        raise UsageError(
            f"the plan has format {found}, this version reads {' and '.join(map(str, FORMATS))}", where=where
        )


def _decoder(folder: Path) -> Any:
    def decoded(_: type, value: Any) -> Any:  # of the one type that is no type of JSON: Tensors
        return Tensors.read(folder, msgspec.convert(value, StoredTensors)) if value else Tensors()

    return decoded


def files_of(path: str | os.PathLike[str], plan: Plan) -> tuple[Path, ...]:
    """Every file that a plan at ``path`` is stored in."""
    file = Path(path)
    return (file, file.parent / plan.tensors.file) if plan.tensors else (file,)


def plan_schema(kind: type[Plan]) -> dict[str, Any]:
    """The JSON schema of the file."""
    stored = msgspec.json.schema(StoredTensors)["$defs"]["StoredTensors"]
    made = msgspec.json.schema(kind, schema_hook=lambda _: stored)
    made["$defs"]["Plan"]["properties"]["format"] = {"enum": list(FORMATS)}
    return made
