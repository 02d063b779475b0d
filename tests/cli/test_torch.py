"""Torch models on the command line: factories and exported programs in, exported programs and ONNX out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from tests.cli.tools import Ran, files, run

FACTORY = "tests.cli.factories"
QUICK = ("--score", "l2", "--budget", "macs=0.6")


@pytest.fixture
def pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with out.pt2 and p.json."""
    args = ("-o", tmp_path / "out.pt2", *QUICK, "--plan-out", tmp_path / "p.json")
    ran = run(capsys, "prune", f"{FACTORY}:net", *args, "--depfile", tmp_path / "out.d")
    assert ran.code == 0, ran.err
    return tmp_path


def test_a_factory_is_pruned_into_an_exported_program(pruned: Path) -> None:
    program = torch.export.load(pruned / "out.pt2")
    assert program.state_dict["0.weight"].shape[0] < 16
    out = program.module()(torch.zeros(1, 3, 8, 8))
    assert out.shape == (1, 5)
    assert "factories.py" in (pruned / "out.d").read_text("utf-8")


def test_no_path_of_this_machine_is_in_the_output(pruned: Path) -> None:
    folder = str(Path(__file__).parent).encode()
    assert folder not in (pruned / "out.pt2").read_bytes()


def test_check_holds_an_exported_program_against_its_factory(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--against", f"{FACTORY}:net", "--plan", pruned / "p.json")
    ran = run(capsys, "check", pruned / "out.pt2", *args)
    assert ran.code == 0, ran.err


def test_apply_gives_the_same_bytes_every_time(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (pruned / name).mkdir()
        args = ("-o", pruned / name / "net.pt2")
        assert run(capsys, "apply", pruned / "p.json", f"{FACTORY}:net", *args).code == 0
    assert (pruned / "a" / "net.pt2").read_bytes() == (pruned / "b" / "net.pt2").read_bytes()


def test_an_exported_program_is_a_model_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.cli.factories import net

    module, inputs = net()
    torch.export.save(torch.export.export(module.eval(), inputs), tmp_path / "net.pt2")
    ran = run(capsys, "prune", tmp_path / "net.pt2", "-o", tmp_path / "out.onnx", *QUICK)
    assert ran.code == 0, ran.err
    proto = onnx.load(tmp_path / "out.onnx")
    assert not any(node.metadata_props for node in proto.graph.node)
    image = np.ones((1, 3, 8, 8), np.float32)
    name = proto.graph.input[0].name
    assert ReferenceEvaluator(proto).run(None, {name: image})[0].shape == (1, 5)


def test_shapes_give_a_factory_its_example_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "analyze", f"{FACTORY}:build")
    assert ran.code == 2
    assert "--shape" in ran.err
    assert run(capsys, "analyze", f"{FACTORY}:build", "--shape", "1,3,8,8").code == 0


def test_what_the_example_inputs_do_not_reach_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "note: not reached by the example inputs, left as it is: hint;"
    page = tmp_path / "out.html"
    asked = ("-o", tmp_path / "out.pt2", "--report", page, *QUICK)
    for ran in (
        run(capsys, "analyze", f"{FACTORY}:optional"),
        run(capsys, "prune", f"{FACTORY}:optional", *asked),
    ):
        assert ran.code == 0, ran.err
        assert note in ran.err
    assert "Not reached by the example inputs, left as it is: hint;" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("number", 2, "it returned a int"),
        ("missing", 2, "there is no 'missing' in it (it has build, net, number, broken"),
        ("broken", 3, "ZeroDivisionError: no weights"),
        ("sized", 2, "it takes arguments: width"),
        ("COUNT", 2, "it is a int and not callable"),
        ("ending", 3, "the factory failed: SystemExit: 7"),
    ],
)
@pytest.mark.parametrize("place", [FACTORY, str(Path(__file__).with_name("factories.py"))])
def test_a_factory_that_makes_no_module_is_refused(
    place: str, name: str, code: int, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", f"{place}:{name}", "-o", tmp_path / "out.pt2")
    assert ran.code == code
    assert hint in ran.err
    assert files(tmp_path) == set()


SCRIPT = """
import torch
from widths_of_{0} import width

class Net(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Linear(6, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))

def net():
    return Net(), torch.ones(2, 6)

model = Net()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A file of the user's own in a folder of its own, with a module beside it."""
    folder, name = tmp_path / "their code", f"net_of_{tmp_path.name}"
    folder.mkdir()
    (folder / f"widths_of_{name}.py").write_text("width = 16\n", encoding="utf-8")
    (folder / f"{name}.py").write_text(SCRIPT.format(name), encoding="utf-8")
    return folder / f"{name}.py"


@pytest.mark.parametrize(
    ("made", "shape"), [("net", ()), ("Net", ("--shape", "2,6")), ("model", ("--shape", "2,6"))]
)
def test_a_file_and_a_name_in_it_are_a_model_for_every_command(
    made: str, shape: tuple[str, ...], script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out, plan = f"{script}:{made}", tmp_path / "out.pt2", tmp_path / "p.json"
    for args in (
        ("prune", model, "-o", out, *QUICK, "--plan-out", plan, "--depfile", tmp_path / "out.d", *shape),
        ("apply", plan, model, "-o", tmp_path / "again.pt2", *shape),
        ("analyze", model, *shape),
    ):
        ran = run(capsys, *args)
        assert ran.code == 0, ran.err
    needs = (tmp_path / "out.d").read_text("utf-8")
    assert script.name in needs
    assert f"widths_of_{script.name}" in needs
    assert torch.export.load(out).module()(torch.zeros(2, 6)).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        (None, 2, "there is no file"),
        ("1 / 0", 3, "importing it failed: ZeroDivisionError"),
        ("def broken(:", 3, "importing it failed: SyntaxError"),
        ("raise SystemExit(0)", 3, "importing it failed: SystemExit"),
        ("", 2, "nothing callable of its own"),
    ],
)
def test_a_file_that_makes_no_module_is_refused(
    text: str | None, code: int, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no_net.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    ran = run(capsys, "analyze", f"{path}:net")
    assert (ran.code, ran.out) == (code, "")
    assert hint in ran.err


def test_a_file_without_a_name_asks_for_one(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "analyze", script)
    assert ran.code == 2
    assert f"{script.name}:factory" in ran.err.replace("\n", "")


@pytest.mark.parametrize("content", [b"", b"not a program"])
def test_a_damaged_program_is_exit_code_3(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    ran: Ran = run(capsys, "analyze", tmp_path / "net.pt2")
    assert (ran.code, ran.out) == (3, "")
    assert f"{tmp_path / 'net.pt2'}: " in ran.err
