"""What a user installs is the package, all of it, once, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREE = {
    file.relative_to(ROOT).as_posix()
    for file in (ROOT / "prunepass").rglob("*")
    if file.is_file() and "__pycache__" not in file.parts
}
BESIDE = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_the_package_and_its_metadata(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        packed = {name for name in names if ".dist-info/" not in name}
        scripts = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert packed == TREE
    assert len(names) == len(set(names))
    assert "prunepass = prunepass.cli:main" in scripts


def test_the_source_distribution_holds_the_package_and_its_papers(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    names = [member.name.split("/", 1)[1] for member in members if not member.isdir()]
    assert not [member.name for member in members if member.issym() or member.islnk()]
    assert {name for name in names if name.startswith("prunepass/")} == TREE
    assert {name for name in names if not name.startswith("prunepass/")} <= BESIDE
    assert len(names) == len(set(names))
