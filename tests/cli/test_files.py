"""Output files appear whole or not at all; dependency files are read by make and ninja."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import prunepass
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


def test_a_file_that_is_replaced_keeps_its_rights(tmp_path: Path) -> None:
    old = tmp_path / "a.json"
    old.write_text("old")
    old.chmod(0o640)
    with Outputs() as outputs:
        outputs.text(old, "new")
    assert old.read_text() == "new" and stat.S_IMODE(old.stat().st_mode) == 0o640


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


OWN = str(Path(prunepass.__file__))
ODD = ("a b", "a#b", "a$b", "a:b", "a=b", "a[1]b", "a%b", "a\\b", "a\\ b", "m=0.5/ä ~b")


def test_special_letters_are_escaped_in_a_depfile() -> None:
    want = f"my\\ out\\#1: \\\n {OWN} \\\n /a\\ b/c$$d\n"
    assert depfile("my out#1", ["/a b/c$d"]) == want


def build(folder: Path, tool: str) -> tuple[int, bool]:
    """The exit code of ``tool``, and whether it made ``out``."""
    command = [tool, *(["-f", "build.ninja"] if tool == "ninja" else []), "out"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, "cp made.d kept.d" in ran.stdout


@pytest.mark.parametrize("tool", ["make", "ninja"])
@pytest.mark.parametrize("name", ODD)
def test_make_and_ninja_read_the_depfile(tool: str, name: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    need = tmp_path / name
    need.parent.mkdir(exist_ok=True)
    need.touch()
    (tmp_path / "made.d").write_text(depfile("out", [need]), encoding="utf-8")
    (tmp_path / "Makefile").write_text("-include kept.d\nout:\n\ttouch out; cp made.d kept.d\n")
    rule = "rule r\n command = touch out; cp made.d kept.d\n depfile = kept.d\nbuild out: r\n"
    (tmp_path / "build.ninja").write_text(rule, encoding="utf-8")
    # Set times, for a clock may be coarser than this test is quick.
    os.utime(need, (1, 1))
    assert build(tmp_path, tool) == (0, True)
    assert build(tmp_path, tool) == (0, False)
    os.utime(need, (4e9, 4e9))
    assert build(tmp_path, tool) == (0, True)
    need.unlink()
    code, made = build(tmp_path, tool)
    assert made if tool == "ninja" else code == 2


def test_a_line_break_in_a_depfile_is_refused() -> None:
    with pytest.raises(UsageError, match="line break"):
        depfile("out", ["a\nb"])
