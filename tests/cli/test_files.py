"""Output files appear whole or not at all; dependency files are read by make and ninja."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from prunepass import UsageError
from prunepass.cli._files import Outputs, check_outputs, depfile
from tests.cli.tools import files


def test_files_appear_when_all_is_written(tmp_path: Path) -> None:
    with Outputs() as outputs:
        outputs.text(tmp_path / "a", "1")
        outputs.path(tmp_path / "b").write_bytes(b"2")
        assert not (tmp_path / "a").exists()
    assert files(tmp_path) == {"a", "b"}


def test_what_a_writer_put_beside_its_file_comes_along(tmp_path: Path) -> None:
    with Outputs() as outputs:
        path = outputs.path(tmp_path / "net.onnx")
        path.write_bytes(b"net")
        path.with_name("net.onnx.data").write_bytes(b"weights")
    assert files(tmp_path) == {"net.onnx", "net.onnx.data"}


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old", encoding="utf-8")

    def interrupted() -> None:
        with Outputs() as outputs:
            outputs.text(tmp_path / "a", "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(tmp_path) == {"a"}
    assert (tmp_path / "a").read_text("utf-8") == "old"


def test_a_file_has_the_rights_that_any_program_would_give_it(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with Outputs() as outputs:
        outputs.text(tmp_path / "made", "1")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "made")]
    assert modes[0] == modes[1]


def test_a_changed_file_is_replaced_and_an_equal_one_is_not(tmp_path: Path) -> None:
    for text in ("1", "1", "2"):
        before = (tmp_path / "a").stat().st_mtime_ns if (tmp_path / "a").exists() else None
        same = before is not None and (tmp_path / "a").read_text("utf-8") == text
        with Outputs() as outputs:
            outputs.text(tmp_path / "a", text)
        assert ((tmp_path / "a").stat().st_mtime_ns == before) == same
    assert (tmp_path / "a").read_text("utf-8") == "2"


def test_a_link_to_the_input_is_the_input(tmp_path: Path) -> None:
    (tmp_path / "net").touch()
    (tmp_path / "link").symlink_to(tmp_path / "net")
    with pytest.raises(UsageError, match="it is an input too"):
        check_outputs([str(tmp_path / "link")], [tmp_path / "net"])


def test_a_folder_without_the_right_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="is not writable"):
        check_outputs([str(tmp_path / "out")])


def test_special_letters_are_escaped_in_a_depfile() -> None:
    assert depfile("my out#1", ["/a b/c$d"]) == "my\\ out\\#1: \\\n /a\\ b/c$$d\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_reads_the_depfile(tmp_path: Path) -> None:
    need = tmp_path / "a b#c$d"
    need.touch()
    (tmp_path / "out.d").write_text(depfile("out", [need]), encoding="utf-8")
    (tmp_path / "Makefile").write_text("include out.d\nout:\n\ttouch out\n", encoding="utf-8")
    for expected in ("touch out", "up to date"):
        ran = subprocess.run(["make", "out"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert expected in ran.stdout
    need.unlink()
    ran = subprocess.run(["make", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "No rule to make target" in ran.stderr
