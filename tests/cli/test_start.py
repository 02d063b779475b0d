"""Starting is cheap: help and version load nothing heavy, results are plain where there is no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import nets

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "matplotlib",
    "PIL",
    "rich",
    "scipy",
}
REPORT = "import sys; print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"


def loaded(code: str) -> set[str]:
    """Top-level modules that are loaded after ``code`` ran in a fresh interpreter."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"], capture_output=True, text=True, check=True, env=env
    )
    return set(ran.stderr.split())


def test_importing_the_package_loads_not_even_numpy() -> None:
    names = loaded("import prunepass")
    assert "prunepass" in names
    assert not names & {*HEAVY, "numpy", "msgspec", "click"}


@pytest.mark.parametrize("args", ["['--help']", "['prune', '--help']", "['--version']"])
def test_help_and_version_load_nothing_heavy(args: str) -> None:
    names = loaded(f"from prunepass.cli import main; assert main({args}) == 0")
    assert "click" in names
    assert not names & {*HEAVY, "numpy", "msgspec"}


def test_python_m_prunepass_is_the_command(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    args = [sys.executable, "-m", "prunepass", "analyze", nets.save(tmp_path / "net.onnx")]
    ran = subprocess.run(args, capture_output=True, text=True, check=True, env=env)
    assert "\x1b[" not in ran.stdout, "no colour where there is no terminal"
    assert "conv0" in ran.stdout
