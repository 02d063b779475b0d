"""Journal of a sweep in its folder, so that one that was stopped goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from ..ir import UsageError
from ..passes import Cost, write_text
from ._row import MODEL, Row, Setup

NAME = "sweep.json"
_FORMAT = 1


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The state of a folder; written anew, whole, whenever a candidate is done.

    Attributes:
        model: hash over the bytes of the model's files: weights count, as results hang on them.
        before: costs of the original. accuracy: what the user's command said of it.
        rows: by the candidate's key.
    """

    model: str
    setup: Setup
    before: Cost
    accuracy: float | None = None
    rows: Mapping[str, Row] = {}
    format: int = _FORMAT

    def with_row(self, row: Row) -> Journal:
        return msgspec.structs.replace(self, rows={**self.rows, row.candidate.key: row})

    def save(self, folder: Path) -> None:
        packed = msgspec.json.encode(self, order="sorted")
        write_text(folder / NAME, msgspec.json.format(packed, indent=1).decode() + "\n")

    def standing(self, folder: Path) -> Journal:
        """Without rows of candidates whose files are gone, and of those that may succeed if tried again."""
        rows = {
            key: row
            for key, row in self.rows.items()
            if (row.failed and row.final) or (not row.failed and (folder / key / MODEL).is_file())
        }
        return msgspec.structs.replace(self, rows=rows)


def load(folder: Path) -> Journal | None:
    """The journal of ``folder``, None where there is none.

    Raises:
        UsageError: it cannot be read, or a newer version wrote it.
    """
    path = folder / NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        advice = "name another folder, or remove this file to start again"
        raise UsageError(
            f"the folder's journal cannot be read: {error}", where=str(path), advice=advice
        ) from error
    if found.format != _FORMAT:
        what = f"the folder's journal has format {found.format}, this version reads {_FORMAT}"
        raise UsageError(what, where=str(path), advice="name another folder")
    return found


def hash_of(files: Iterable[Path]) -> str:
    """A hash over the bytes of a model's files."""
    found = sha256()
    for file in files:
        found.update(sha256(file.read_bytes()).digest())
    return found.hexdigest()


def check(known: Journal, model: str, setup: Setup, folder: Path) -> None:
    """Refuse to mix what cannot be compared.

    Raises:
        UsageError: the folder holds candidates of another model, or made or measured otherwise.
    """
    if known.model != model:
        raise UsageError(
            "the folder holds a sweep of another model", where=str(folder), advice="name another folder"
        )
    old, new = msgspec.to_builtins(known.setup), msgspec.to_builtins(setup)
    other = [f"{name} {old[name]!r} (now {new[name]!r})" for name in new if old[name] != new[name]]
    if other:
        raise UsageError(
            f"the folder holds a sweep with {', '.join(other)}",
            where=str(folder),
            advice="name another folder, or the same options",
        )
