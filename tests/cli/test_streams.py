"""Where results cannot be written: full devices, and names that the encoding of a terminal does not have."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.cli import nets
from tests.cli.tools import run

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
ODD = "schicht\u2603\u00e4"


def process(
    args: list[str], folder: Path, *, out: Path | None = None, err: Path | None = None, **env: str
) -> tuple[int, str, str]:
    """Exit code and both streams of a command in a process of its own; a stream into a file comes back empty."""
    with (out or folder / "out.txt").open("wb") as stdout, (err or folder / "err.txt").open("wb") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "prunepass", *args],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **env},
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
    said = "" if err else (folder / "err.txt").read_text("utf-8")
    return done.returncode, "" if out else (folder / "out.txt").read_text("utf-8", "replace"), said


@needs_full
def test_a_full_device_is_no_fault_of_the_library(tmp_path: Path) -> None:
    nets.save(tmp_path / "net.onnx")
    for args in (["analyze", "net.onnx"], ["schema", "plan"]):
        code, _, err = process(args, tmp_path, out=FULL)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert err.startswith("prunepass: error: [usage] ") and "No space left on device" in err
    assert process(["analyze", "none.onnx"], tmp_path, err=FULL)[0] == 2


@pytest.mark.parametrize("option", ["--plan-out", "--report", "--depfile", "-o"])
def test_an_output_on_a_full_disk_is_named_and_nothing_is_left(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    names = {"-o": "out.onnx", "--plan-out": "p.json", "--report": "r.json", "--depfile": "d"}
    (tmp_path / "full").mkdir()
    options = [
        part
        for key, name in names.items()
        for part in (key, tmp_path / ("full" if key == option else "") / name)
    ]
    real = io.open

    def full(path: object, *args: object, **more: object) -> object:
        if isinstance(path, (str, os.PathLike)) and str(path).startswith(str(tmp_path / "full")):
            writes = any(isinstance(arg, str) and set(arg) & set("wxa+") for arg in args)
            if writes or any(isinstance(value, str) and set(value) & set("wxa+") for value in more.values()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), None)
        return real(path, *args, **more)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(io, "open", full)
    monkeypatch.setattr("builtins.open", full)
    ran = run(capsys, "prune", net, "--score", "l2", *options)
    assert ran.code == 2, ran.err
    assert ran.err.startswith("prunepass: error: [usage] ") and "No space left on device" in ran.err
    assert names[option] in ran.err
    assert {path.name for path in tmp_path.rglob("*")} == {"net.onnx", "full"}


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_the_encoding_does_not_have_is_escaped(encoding: str, tmp_path: Path) -> None:
    proto = nets.classifier()
    proto.graph.node[0].name = proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = ODD
    nets.save(tmp_path / f"{ODD}.onnx", proto)
    shown = ODD.encode(encoding, "backslashreplace").decode(encoding)
    report = ["--report", "r.html", "--depfile", "d", "--plan-out", "p.json"]
    for args in (["analyze"], ["prune", "-v", "-o", "out.onnx", "--score", "l2", *report]):
        code, _, err = process([args[0], f"{ODD}.onnx", *args[1:]], tmp_path, PYTHONIOENCODING=encoding)
        assert code == 0, err
        assert shown in (tmp_path / "out.txt").read_bytes().decode(encoding)
    assert ODD in (tmp_path / "d").read_text("utf-8") and ODD in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_file_whose_name_is_no_text_is_read_and_named(tmp_path: Path) -> None:
    name = os.fsdecode(b"n\xff.onnx")
    try:
        (tmp_path / name).write_bytes(onnx.ModelProto.SerializeToString(nets.classifier()))
    except OSError:
        pytest.skip("this file system takes text only")
    more = ["--report", "r.html", "--depfile", "d", "--plan-out", "p.json"]
    code, _, err = process(
        ["prune", name, "-o", os.fsdecode(b"o\xff.onnx"), "--score", "l2", *more], tmp_path
    )
    assert code == 0, err
    assert b"n\xff.onnx" in (tmp_path / "d").read_bytes()
    assert onnx.load(tmp_path / os.fsdecode(b"o\xff.onnx")).graph.node
