"""The journal keeps what was measured, also when it is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunepass.ir import UsageError
from prunepass.measure._journal import Journal, fingerprint_of


def test_what_was_put_is_there_for_the_next_one(tmp_path: Path) -> None:
    Journal(tmp_path / "new").put("a", (1.0, 2.0))
    again = Journal(tmp_path / "new")
    assert again.get("a") == (1.0, 2.0) and again.get("b") is None


def test_a_line_that_was_cut_short_loses_only_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.put("a", (1.0,))
    journal.put("b", (2.0,))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    again = Journal(tmp_path)
    assert again.get("a") == (1.0,) and again.get("b") is None
    again.put("c", (3.0,))
    assert Journal(tmp_path).get("c") == (3.0,) and len(Journal(tmp_path)) == 2


def test_it_lives_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Journal().put("a", (1.0,))
    assert (tmp_path / "prunepass" / "latency.jsonl").is_file()


def test_a_cache_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(UsageError, match="cache cannot be used"):
        Journal(tmp_path / "file" / "folder")


def test_fingerprints_depend_on_the_facts_and_not_on_their_order() -> None:
    assert fingerprint_of({"a": 1, "b": [2]}) == fingerprint_of({"b": [2], "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": 2})
