"""Every command of the README and the docs runs as it is written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from prunepass.cli import main
from prunepass.targets._targets import target_of, to_toml
from tests.cli import nets
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase
from tests.hosts.onnx.models import build, weights

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^(?:\$ )?prunepass +(\S+) +(.*)$", re.MULTILINE)
_NEEDS = {"tensorrt-rtx": "tensorrt_rtx", "openvino": "openvino", "torch": "torch", "--ray": "ray"}
# A cluster that is running already; tests/sweeps has one of its own.
_ELSEWHERE = ("--ray auto",)

_NET = """(float[1,3,16,16] x) => (float[1,10] y) {
    a = Conv<pads=[1,1,1,1]>(x, w0, b0)
    b = Relu(a)
    c = Conv<pads=[1,1,1,1]>(b, w1, b1)
    d = Relu(c)
    e = Conv<pads=[1,1,1,1]>(d, w2, b2)
    f = Relu(e)
    g = GlobalAveragePool(f)
    h = Flatten(g)
    y = MatMul(h, w3)
}"""


def commands(page: Path) -> Iterator[list[str]]:
    """The commands in the code blocks of a page, in order; what they are for stands behind two spaces."""
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for name, rest in _COMMAND.findall(block) if language in ("", "console") else ():
            yield [name, *shlex.split(re.split(r" {2,}", rest)[0])]


CASES = [
    pytest.param(page, at, id=f"{page.stem}-{at}-{command[0]}")
    for page in PAGES
    for at, command in enumerate(commands(page))
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a page: a command finds what those before it wrote."""
    return {page.stem: _filled(tmp_path_factory.mktemp(page.stem)) for page in PAGES}


def _filled(folder: Path) -> Path:
    shapes = {"w0": (64, 3, 3, 3), "w1": (96, 64, 3, 3), "w2": (64, 96, 3, 3), "w3": (64, 10)}
    shapes |= {"b0": (64,), "b1": (96,), "b2": (64,)}
    model = build(_NET, {name: weights(*shape) for name, shape in shapes.items()})
    for name in ("model.onnx", "net.onnx", "small.onnx"):
        nets.save(folder / name, model)
    (folder / "mine.toml").write_text(to_toml(target_of("onnxruntime-x86")))
    (folder / "prune.toml").write_text('budget = "macs=0.6"\nscore = "l2"\n')
    (folder / "evaluate.py").write_text("print(0.5)\n")
    np.savez(folder / "samples.npz", x=weights(4, 3, 16, 16))
    (folder / "judge.py").write_text("def accuracy(model):\n    return 0.5\n")
    np.savez(folder / "data.npz", x=weights(4, 3, 16, 16))
    if find_spec("torch"):
        _programs(folder)
    return folder


def _programs(folder: Path) -> None:
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    program = torch.export.export(model, (torch.zeros(1, 3, 4, 4),))
    for name in ("model.pt2", "small.pt2"):
        torch.export.save(program, folder / name)


@pytest.mark.parametrize(("page", "at"), CASES)
def test_a_command_runs_as_it_is_written(
    page: Path,
    at: int,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = list(commands(page))[at]
    text = " ".join(command)
    for word, package in _NEEDS.items():
        if word in text:
            pytest.importorskip(package)
    if any(words in text for words in _ELSEWHERE):
        pytest.skip("needs a cluster")
    monkeypatch.chdir(folders[page.stem])
    if command[0] in ("prune", "check"):
        # Whether a budget is met must not hang on how busy this machine is.
        engine = ClockworkBackend(lambda graph: staircase(graph, overhead=0))
        monkeypatch.setattr("prunepass.measure._clock.ready", lambda name: engine)
        monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)
    code = main(command)
    assert code == 0, capsys.readouterr().err


def test_commands_are_found() -> None:
    found = [command[0] for page in PAGES for command in commands(page)]
    assert {"analyze", "prune", "apply", "check", "bench", "build", "sweep", "calibrate"} <= set(found)
