from __future__ import annotations

from pathlib import Path

import pytest

from prunepass.backends._write import written
from prunepass.ir import UsageError


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    with written(tmp_path / "engine") as part:
        part.write_text("new")
        assert not (tmp_path / "engine").exists()
    assert (tmp_path / "engine").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_an_interrupted_call_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "engine").write_text("old")

    def interrupted() -> None:
        with written(tmp_path / "engine") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "engine").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_what_belongs_to_a_file_is_in_place_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda old, new: (moved.append(Path(new).name), replace(old, new))[1]
    )
    with written(tmp_path / "engine.xml") as part:
        part.write_text("names the other")
        part.with_suffix(".zzz").write_text("weights")
        part.with_suffix(".bin").write_text("weights")
    assert moved == ["engine.bin", "engine.zzz", "engine.xml"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"), written(tmp_path / "missing" / "engine"):
        pytest.fail("there is nowhere to write to")
