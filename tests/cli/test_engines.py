"""``backends``, ``build`` and ``bench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest

from tests.cli import nets
from tests.cli.tools import files, run
from tests.plugins import Installer

FAST = ("--backend", "onnxruntime", "--duration", "0.01")


def test_backends_says_of_each_whether_it_is_there_or_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "backends", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["onnxruntime"]["unavailable"] is None
    assert all(state["version"] or state["unavailable"] for state in found.values())
    assert found["onnxruntime"]["reads"] == ["onnx"]
    assert found["torch"]["reads"] == ["pt2"]
    assert "onnxruntime" in run(capsys, "backends").out


def test_build_writes_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "build", net, "-o", tmp_path / "engine.onnx", "--backend", "onnxruntime")
    assert ran.code == 0, ran.err
    assert files(tmp_path) == {"net.onnx", "engine.onnx"}
    assert len(onnx.load(tmp_path / "engine.onnx").graph.node) > 0


def test_build_passes_options_to_the_backend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    plain = ("build", net, "--backend", "onnxruntime", "--set", "optimization=none")
    assert run(capsys, *plain, "-o", tmp_path / "plain.onnx").code == 0
    domains = {node.domain for node in onnx.load(tmp_path / "plain.onnx").graph.node}
    assert domains <= {"", "ai.onnx"}


def test_build_for_tensorrt_rtx_needs_no_gpu_where_the_target_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx")
    net = nets.save(tmp_path / "net.onnx")
    command = ("build", net, "--backend", "tensorrt-rtx", "-o", tmp_path / "engine")
    ran = run(capsys, *command, "--set", "compute_capability=sm89")
    assert ran.code == 0, ran.err
    assert files(tmp_path) == {"net.onnx", "engine"} and (tmp_path / "engine").stat().st_size > 0


@pytest.mark.parametrize(
    ("content", "option", "code", "told"),
    [
        (None, "compute_capability=sm90", 2, "sm89"),
        (None, "shapes=x=9", 2, "shapes gives 9"),
        (b"hello", "threads=1", 3, "no ONNX model"),
    ],
)
def test_what_tensorrt_rtx_refuses_has_its_exit_code_and_leaves_nothing(
    content: bytes | None,
    option: str,
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorrt_rtx")
    net = nets.save(tmp_path / "net.onnx")
    if content is not None:
        Path(net).write_bytes(content)
    target = "compute_capability=sm89"
    command = ("build", net, "--backend", "tensorrt-rtx", "-o", tmp_path / "engine", "--set", target)
    ran = run(capsys, *command, "--set", option)
    assert ran.code == code and told in ran.err
    assert files(tmp_path) == {"net.onnx"}


def test_build_for_a_backend_that_is_not_there_exits_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "build", net, "--backend", "tensorrt", "-o", tmp_path / "engine")
    assert ran.code == 4 and "prunepass[tensorrt]" in ran.err


def test_bench_compares_with_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [nets.save(tmp_path / name) for name in ("a.onnx", "b.onnx")]
    ran = run(capsys, "bench", *models, *FAST, "--json", tmp_path / "r.json")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert [engine["name"] for engine in found["engines"]] == ["a", "b"]
    assert str(tmp_path) not in (tmp_path / "r.json").read_text("utf-8")
    assert "1.00x" in ran.out


def test_bench_asks_for_the_size_that_decides_the_timing_and_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx", nets.resizable())
    asked = run(capsys, "bench", net, *FAST)
    assert asked.code == 2 and "'height'" in asked.err and "--shape" in asked.err
    assert run(capsys, "bench", net, *FAST, "--shape", "x=1,3,12,9").code == 0
    nameless = run(capsys, "bench", net, *FAST, "--shape", "1,3,12,9")
    assert nameless.code == 2 and "has no name" in nameless.err


def test_bench_to_stdout_is_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "bench", nets.save(tmp_path / "a.onnx"), *FAST, "--json", "-", "--threads", "1")
    assert json.loads(ran.out)["threads"] == 1


def test_bench_does_not_overwrite_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "a.onnx")
    assert run(capsys, "bench", net, *FAST, "--json", net).code == 2


def test_engines_refuse_an_exported_program_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.pt2").write_bytes(b"x")
    ran = run(capsys, "bench", tmp_path / "net.pt2", *FAST)
    assert ran.code == 2
    assert "OUT.onnx" in ran.err


def test_a_backend_refuses_what_only_others_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    for name, backend, said in (
        ("net.onnx", "torch", "reads .pt2"),
        ("net.xml", "onnxruntime", "reads .onnx"),
        ("net.pt2", "onnxruntime", "OUT.onnx"),
    ):
        (tmp_path / name).write_bytes(b"x")
        ran = run(capsys, "bench", tmp_path / name, "--backend", backend, "--duration", "0.01")
        assert ran.code == 2
        assert said in ran.err


def test_an_unknown_ending_may_be_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.model")
    assert run(capsys, "bench", net, *FAST).code == 0


def test_openvino_builds_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino")
    net, fast = nets.save(tmp_path / "net.onnx"), ("--backend", "openvino", "--duration", "0.01")
    for engine in ("engine.blob", "engine.xml"):
        ran = run(capsys, "build", net, "-o", tmp_path / engine, "--backend", "openvino")
        assert ran.code == 0, ran.err
    assert files(tmp_path) == {"net.onnx", "engine.blob", "engine.xml", "engine.bin"}
    ran = run(capsys, "bench", net, tmp_path / "engine.blob", tmp_path / "engine.xml", *fast, "--json", "-")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["backend"] == "openvino"
    ran = run(capsys, "build", net, "-o", tmp_path / "engine.onnx", "--backend", "openvino")
    assert ran.code == 2
    assert ".blob" in ran.err


def test_torch_builds_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()
    torch.export.save(torch.export.export(net, (torch.ones(1, 4),)), tmp_path / "net.pt2")
    plain = ("build", tmp_path / "net.pt2", "-o", tmp_path / "engine.pt2", "--backend", "torch")
    ran = run(capsys, *plain, "--set", "memory_format=channels_last")
    assert ran.code == 0, ran.err
    both = (tmp_path / "net.pt2", tmp_path / "engine.pt2")
    ran = run(capsys, "bench", *both, "--backend", "torch", "--duration", "0.01", "--json", "-")
    assert [engine["name"] for engine in json.loads(ran.out)["engines"]] == ["net", "engine"]
    assert run(capsys, *plain, "--set", "mode=cudagraph").code == 2


def test_passes_lists_passes_scores_and_targets(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "passes", "--json").out)
    assert {"couple", "score", "select", "compensate", "cut", "verify"} <= set(found["passes"])
    assert found["passes"]["select"]["options"]["budget"] == "macs=0.5"
    assert "dfpc" in found["scores"]
    assert found["targets"]["tensorrt-fp16"] == 8
    shown = run(capsys, "passes").out
    assert all(name in shown for name in (*found["passes"], *found["scores"], *found["targets"]))


def test_analyze_lists_groups_pins_and_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    found = json.loads(run(capsys, "analyze", net, "--json", "--keep", "conv0").out)
    groups = {group["name"]: group for group in found["groups"]}
    assert groups["conv1"]["prunable"]
    assert not groups["conv0"]["prunable"]
    assert "kept by 'conv0'" in groups["conv0"]["pins"][0]
    shown = run(capsys, "analyze", net, "-v").out
    assert "multiply-accumulates" in shown
    assert "w1[0]" in shown


def test_a_broken_distribution_is_told_and_left_out_of_the_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Installer(tmp_path, monkeypatch)("prunepass.scores", {"gone": "nowhere.at_all:Score"})
    ran = run(capsys, "passes", "--json")
    assert ran.code == 0 and "gone" not in json.loads(ran.out)["scores"]
    assert "score 'gone' of 'theirs 1.5' does not load" in ran.err
