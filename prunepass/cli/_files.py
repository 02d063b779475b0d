"""Output files: checked before any work, written beside their place, renamed when all is well.

A file whose bytes would not change is left as it is, so that a build which looks at times stops there.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ..ir import UsageError
from ..signals import undisturbed


def check_outputs(outputs: Iterable[str | None], inputs: Iterable[str | Path] = ()) -> None:
    """Hold every output against what would fail at the end of the work.

    Raises:
        UsageError: a folder is missing or not writable, an output is a folder, two outputs are one file, or
            an output is an input.
    """
    seen = {_identity(Path(name)): "an input" for name in inputs}
    for name in outputs:
        if name is None:
            continue
        path = Path(name)
        _check_folder(path)
        identity = _identity(path)
        if identity in seen:
            raise UsageError(f"it is {seen[identity]} too", where=name, advice="give it a name of its own")
        seen[identity] = "another output"


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise UsageError(f"cannot write: '{folder}' {what}", where=str(path), advice="make the folder first")
    if path.is_dir():
        raise UsageError("cannot write: it is a folder", where=str(path), advice="name a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write: '{folder}' is not writable", where=str(path))


class Outputs:
    """Files that appear whole, all of them or none.

    Use it as a context manager: write to what :meth:`path` gives; leaving without an error renames.
    """

    def __init__(self) -> None:
        self._staged: dict[Path, Path] = {}

    def path(self, target: str | Path) -> Path:
        """A temporary path for ``target``: the same name in a hidden folder beside it."""
        wanted = Path(target)
        if wanted not in self._staged:
            folder = Path(tempfile.mkdtemp(prefix=".prunepass-", dir=wanted.parent))
            self._staged[wanted] = folder / wanted.name
        return self._staged[wanted]

    def text(self, target: str | Path, text: str) -> None:
        # Names of files may hold bytes that are no text; they are written as they are.
        data = text.encode("utf-8", errors="surrogateescape")
        try:
            self.path(target).write_bytes(data)
        except OSError as error:
            raise UsageError(f"cannot write: {error.strerror}", where=str(target)) from error

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with undisturbed():
                    self._commit()
        finally:
            for staged in self._staged.values():
                shutil.rmtree(staged.parent, ignore_errors=True)

    def _commit(self) -> None:
        for target, staged in self._staged.items():
            # What a writer put beside its file (external data) comes first: the file refers to it.
            for part in sorted(staged.parent.iterdir(), key=lambda part: part == staged):
                _replace(part, target.parent / part.name)


def _replace(new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``old``, whose permissions stay, unless they are equal."""
    if old.is_file():
        if filecmp.cmp(new, old, shallow=False):
            return
        new.chmod(stat.S_IMODE(old.stat().st_mode))
    new.replace(old)


def depfile(target: str, needs: Iterable[str | Path]) -> str:
    """A rule in Makefile syntax: ``target`` is out of date when one of ``needs`` changes.

    The package itself comes first, so that another version makes the target anew; and because make takes
    ``out: a=b`` for a variable of the target, without a word, where the first name holds a ``=``.

    Raises:
        UsageError: a name holds a line break, which neither make nor ninja can be told.
    """
    own = Path(__file__).parents[1] / "__init__.py"
    names = dict.fromkeys(_escaped(os.path.abspath(need)) for need in (own, *needs))  # noqa: PTH100 (keeps symlinks)
    return f"{_escaped(target)}:" + "".join(f" \\\n {name}" for name in names) + "\n"


def _escaped(name: str) -> str:
    """``name`` as make and ninja both read it, which is more than either documents."""
    if "\n" in name or "\r" in name:
        raise UsageError(
            "a depfile cannot hold a name with a line break", where=repr(name), advice="rename it"
        )
    drive, rest = os.path.splitdrive(name)
    rest = re.sub(r"(\\*) ", r"\1\1\\ ", rest)
    return (drive + re.sub(r"([#:])", r"\\\1", rest)).replace("$", "$$")
