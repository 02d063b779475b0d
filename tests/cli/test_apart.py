"""A model may lie in several files: no output goes over one of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.cli import nets
from tests.cli.tools import files, run

QUICK = ("--score", "l2")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A model whose weights are in ``small.onnx.data``."""
    net = tmp_path / "net.onnx"
    options = {"save_as_external_data": True, "location": "small.onnx.data", "size_threshold": 0}
    onnx.save(nets.classifier(), net, **options)
    return net


COMMANDS = {
    "the data of the output": ("prune", "{net}", "-o", "{at}/small.onnx", *QUICK),
    "a plan": ("prune", "{net}", "-o", "{at}/o.onnx", "--plan-out", "{data}", *QUICK),
    "a dependency file": ("prune", "{net}", "-o", "{at}/o.onnx", "--depfile", "{data}", *QUICK),
    "a target": ("calibrate", "{net}", "-o", "{data}", "--backend", "onnxruntime", "--cache", "{at}"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_weights_of_the_input_are_no_place_for_an_output(
    case: str, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "small.onnx.data"
    before = data.read_bytes()
    ran = run(capsys, *(part.format(net=net, at=tmp_path, data=data) for part in COMMANDS[case]))
    assert ran.code == 2
    assert f"{data}: it is an input too" in ran.err
    assert data.read_bytes() == before
    assert files(tmp_path) == {"net.onnx", "small.onnx.data"}


def test_apply_and_check_keep_off_them_too(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, plan, out = tmp_path / "small.onnx.data", tmp_path / "p.json", tmp_path / "o.onnx"
    assert run(capsys, "prune", net, "-o", out, "--plan-out", plan, *QUICK).code == 0
    assert run(capsys, "apply", plan, net, "-o", tmp_path / "small.onnx").code == 2
    for weights in (data, tmp_path / "o.onnx.data"):
        before = weights.read_bytes()
        ran = run(capsys, "check", out, "--against", net, "--plan", plan, "--sarif", weights)
        assert (ran.code, weights.read_bytes()) == (2, before)


def test_one_output_does_not_go_over_the_weights_of_another(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", "--depfile", tmp_path / "o.onnx.data", *QUICK)
    assert ran.code == 2
    assert "it is another output too" in ran.err
