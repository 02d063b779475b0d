"""Models written: all or nothing, deterministic, external data where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import capture, load, replay, run, save, to_proto
from prunepass.ir import UsageError
from tests.hosts.onnx.models import build, close, shrunk, weights

TEXT = "(float[N,16,4,4] x) => (float[N,4,4,4] y) { a = Conv(x, w1, b1)\n y = Conv(a, w2) }"
ARRAYS = {"w1": weights(64, 16, 1, 1), "b1": weights(64), "w2": weights(4, 64, 1, 1)}
FEEDS = {"x": weights(1, 16, 4, 4)}


@pytest.fixture
def external(tmp_path: Path) -> Path:
    proto = build(TEXT, ARRAYS)
    onnx.save(
        proto,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="net.onnx.data",
        size_threshold=1024,
    )
    return tmp_path / "net.onnx"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut_of(model: ir.Model) -> ir.Model:
    graph = capture(model)
    return replay(model, graph, shrunk(graph))


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(cut_of(load(build(TEXT, ARRAYS))), tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert names(tmp_path) == ["a.onnx", "b.onnx"]


def test_the_version_of_the_format_stays(tmp_path: Path) -> None:
    save(load(build(TEXT, ARRAYS, ir_version=8)), tmp_path / "a.onnx")
    assert onnx.load(tmp_path / "a.onnx").ir_version == 8


def test_external_data_stays_external(external: Path, tmp_path: Path) -> None:
    pruned = cut_of(load(external))
    save(pruned, tmp_path / "small.onnx")
    assert (tmp_path / "small.onnx.data").stat().st_size < (tmp_path / "net.onnx.data").stat().st_size
    again = load(tmp_path / "small.onnx")
    held = again.graph.initializers["w1"].const_value
    assert isinstance(held, ir.ExternalTensor) and held.location == "small.onnx.data"
    close(run(again, FEEDS)["y"], run(pruned, FEEDS)["y"])
    onnx.checker.check_model(tmp_path / "small.onnx", full_check=True)


def test_external_bytes_are_the_same_every_time(external: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save(cut_of(load(external)), tmp_path / folder / "a.onnx")
    for name in ("a.onnx", "a.onnx.data"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_model_may_overwrite_its_own_source(external: Path) -> None:
    model = load(external)
    pruned = cut_of(model)
    before = run(pruned, FEEDS)["y"]
    save(pruned, external)
    close(run(load(external), FEEDS)["y"], before)
    close(run(pruned, FEEDS)["y"], before)
    save(pruned, external)
    close(run(load(external), FEEDS)["y"], before)


def test_a_model_with_untouched_weights_may_overwrite_its_own_source(external: Path) -> None:
    model = load(external)
    want = run(model, FEEDS)["y"]
    for _ in range(2):
        save(model, external)
    close(run(model, FEEDS)["y"], want)
    close(run(load(external), FEEDS)["y"], want)


def test_a_folder_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        save(load(build(TEXT, ARRAYS)), tmp_path / "nowhere" / "a.onnx")


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    save(load(build(TEXT, ARRAYS)), path)
    old = path.read_bytes()

    def broken(*args: object, **options: object) -> None:
        Path(str(args[1])).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("prunepass.hosts.onnx._save.ir.save", broken)
    with pytest.raises(KeyboardInterrupt):
        save(load(build(TEXT, ARRAYS)), path)
    assert path.read_bytes() == old
    assert names(tmp_path) == ["a.onnx"]


def test_a_proto_holds_everything(external: Path) -> None:
    model = load(external)
    proto = to_proto(model)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    np.testing.assert_array_equal(held["w1"], ARRAYS["w1"])
    assert isinstance(model.graph.initializers["w1"].const_value, ir.ExternalTensor)


def test_running_needs_no_file_and_casts_what_it_is_fed() -> None:
    model = load(build(TEXT, ARRAYS))
    wide = run(model, {"x": FEEDS["x"].astype(np.float64)})["y"]
    assert wide.dtype == np.float32
    close(wide, run(model, FEEDS)["y"])


def test_a_newer_version_of_the_format_runs_too() -> None:
    model = load(build(TEXT, ARRAYS, ir_version=13))
    assert run(model, FEEDS)["y"].shape == (1, 4, 4, 4)
    assert model.ir_version == 13


def test_without_a_runtime_the_reference_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(build(TEXT, ARRAYS))
    want = run(model, FEEDS)["y"]
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    close(run(model, FEEDS)["y"], want)
