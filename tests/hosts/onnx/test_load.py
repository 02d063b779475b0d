"""Models of every kind opened, and damaged ones refused with one error that helps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import as_given, capture, load, save
from prunepass.ir import ModelError, UsageError
from tests.hosts.onnx.models import build, weights

TEXT = "(float[N,3,8,8] x) => (float[N,4,8,8] y) { a = Conv(x, w, b)\n y = Relu(a) }"
ARRAYS = {"w": weights(4, 3, 1, 1), "b": weights(4)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(build(TEXT, ARRAYS), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.fixture
def external(tmp_path: Path) -> Path:
    proto = build(TEXT, ARRAYS)
    onnx.save(proto, tmp_path / "big.onnx", save_as_external_data=True, location="big.bin", size_threshold=0)
    return tmp_path / "big.onnx"


def test_a_path_a_proto_and_a_model_are_opened(path: Path) -> None:
    model = ir.load(path)
    for source in (path, str(path), onnx.load(path), model):
        assert [node.op for node in capture(load(source)).nodes] == ["conv", "relu"]
    assert load(model) is model


def test_a_graphsurgeon_graph_is_opened_and_given_back(path: Path) -> None:
    surgeon = pytest.importorskip("onnx_graphsurgeon")
    graph = surgeon.import_onnx(onnx.load(path))
    model = load(graph)
    assert [node.op for node in capture(model).nodes] == ["conv", "relu"]
    assert isinstance(as_given(graph, model), surgeon.Graph)


def test_results_come_back_in_the_form_that_was_given(path: Path) -> None:
    model = load(path)
    assert as_given(path, model) is model
    assert isinstance(as_given(onnx.load(path), model), onnx.ModelProto)


def test_external_data_stays_outside_until_it_is_read(external: Path) -> None:
    model = load(external)
    held = model.graph.initializers["w"].const_value
    assert isinstance(held, ir.ExternalTensor)
    graph = capture(model)
    assert isinstance(graph.params["w"].read().base, np.memmap | np.ndarray)
    np.testing.assert_array_equal(graph.params["w"].read(), ARRAYS["w"])


def test_what_was_captured_outlives_the_file_it_came_from(external: Path) -> None:
    graph = capture(load(external))
    (external.parent / "big.bin").unlink()
    np.testing.assert_array_equal(graph.params["w"].read(), ARRAYS["w"])


def test_many_external_tensors_need_few_file_handles(tmp_path: Path) -> None:
    count = 1500
    body = "\n".join(f"v{i + 1} = Add(v{i}, w{i})" for i in range(count))
    text = f"(float[2] v0) => (float[2] v{count}) {{ {body} }}"
    proto = build(text, {f"w{i}": np.array([i, 1], np.float32) for i in range(count)})
    onnx.save(
        proto, tmp_path / "many.onnx", save_as_external_data=True, location="many.bin", size_threshold=0
    )
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        graph = capture(load(tmp_path / "many.onnx"))
        assert sum(float(param.read()[0]) for param in graph.params.values()) == count * (count - 1) / 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _rewritten(path: Path, change: Callable[[onnx.GraphProto], object]) -> Path:
    proto = onnx.load(path)
    change(proto.graph)
    onnx.save(proto, path)
    return path


def _bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _graph(change: Callable[[onnx.GraphProto], object]) -> Callable[[Path], object]:
    return lambda path: _rewritten(path, change)


def _set(what: str, at: int, to: str) -> Callable[[onnx.GraphProto], None]:
    def change(graph: onnx.GraphProto) -> None:
        getattr(graph.node[at], what)[0] = to

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "there is no such file"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "this is not a file"),
    "empty": (_bytes(b""), "the file is empty"),
    "random": (_bytes(np.random.default_rng(0).bytes(4000)), "no ONNX model|holds no graph"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "no ONNX model"),
    "no graph": (_bytes(onnx.ModelProto(ir_version=10).SerializeToString()), "holds no graph"),
    "cyclic": (_graph(_set("input", 0, "y")), "wait for each other"),
    "dangling": (_graph(_set("input", 1, "nothing")), "'nothing' is read but nothing makes it"),
    "made twice": (_graph(_set("output", 1, "a")), "'a' is made twice"),
    "doubled initializer": (_graph(lambda g: g.initializer.append(g.initializer[0])), "'w' is made twice"),
    "no output": (_graph(_set("output", 1, "z")), "output 'y' is never made"),
    "unknown type": (_graph(lambda g: setattr(g.node[1], "op_type", "Nonsense")), "Nonsense"),
    "unknown domain": (_graph(lambda g: setattr(g.node[1], "domain", "my.own")), "'my.own'"),
    "short tensor": (_graph(lambda g: setattr(g.initializer[0], "raw_data", b"12")), "holds 2 bytes"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_gives_one_error_with_its_name(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    change, said = DAMAGE[damage]
    change(path)
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caplog.records


def test_a_model_that_a_program_has_built_wrongly_is_refused_too(path: Path) -> None:
    model = ir.load(path)
    loose = ir.Value(name="loose")
    model.graph[1].replace_input_with(0, loose)
    with pytest.raises(ModelError, match="g: y: 'loose' is read but nothing makes it"):
        load(model)


def test_external_data_that_is_missing_or_short_is_refused(external: Path) -> None:
    data = external.parent / "big.bin"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"data of initializer '.' in 'big\.bin' is too short"):
        load(external)
    data.unlink()
    with pytest.raises(ModelError, match=r"in 'big\.bin' is missing"):
        load(external)


def test_external_data_outside_the_folder_is_refused(external: Path) -> None:
    inner = external.parent / "inner"
    inner.mkdir()
    proto = onnx.load(external, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../big.bin" if entry.key == "location" else entry.value
    (inner / "big.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="outside the model's folder"):
        load(inner / "big.onnx")


def test_nodes_out_of_order_are_put_in_order_in_a_copy(path: Path) -> None:
    proto = onnx.load(path)
    first, second = proto.graph.node[1], proto.graph.node[0]
    swapped = [onnx.NodeProto(), onnx.NodeProto()]
    swapped[0].CopyFrom(first)
    swapped[1].CopyFrom(second)
    del proto.graph.node[:]
    proto.graph.node.extend(swapped)
    assert [node.op for node in capture(load(proto)).nodes] == ["conv", "relu"]
    assert [node.op_type for node in proto.graph.node] == ["Relu", "Conv"]


def test_a_sparse_initializer_is_refused() -> None:
    proto = build(TEXT, {"b": ARRAYS["b"]})
    values = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [1.0])
    places = onnx.helper.make_tensor("p", onnx.TensorProto.INT64, [1], [0])
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [4, 3, 1, 1]))
    with pytest.raises(ModelError, match="'w' is sparse"):
        load(proto)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="a int is no ONNX model"):
        load(3)


def test_a_saved_model_opens_again(path: Path, tmp_path: Path) -> None:
    save(load(path), tmp_path / "again.onnx")
    assert [node.op for node in capture(load(tmp_path / "again.onnx")).nodes] == ["conv", "relu"]


def _held(model: ir.Model) -> dict[str, np.ndarray]:
    return {name: np.asarray(value.const_value) for name, value in model.graph.initializers.items()}


def test_a_sandbox_may_link_the_model_and_its_data_from_one_folder_and_nothing_else(
    external: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = tmp_path_factory.mktemp("box")
    (box / "big.onnx").symlink_to(external)
    with pytest.raises(ModelError, match="is missing"):
        load(box / "big.onnx")
    (box / "big.bin").symlink_to(external.parent / "big.bin")
    np.testing.assert_array_equal(_held(load(box / "big.onnx"))["w"], ARRAYS["w"])
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (external.parent / "big.bin").replace(elsewhere / "big.bin")
    (box / "big.bin").unlink()
    (box / "big.bin").symlink_to(elsewhere / "big.bin")
    with pytest.raises(ModelError, match=r"is a link out of the model's folder, to '.*elsewhere"):
        load(box / "big.onnx")


@pytest.mark.parametrize("inner", ["", "onnx/"], ids=["at the top", "in a folder"])
@pytest.mark.parametrize("model_too", [True, False], ids=["all linked", "data linked"])
def test_a_cache_that_links_into_its_own_store_is_read_pruned_and_saved(
    external: Path, inner: str, model_too: bool
) -> None:
    cache = external.parent / "models--some--net"
    folder = cache / "snapshots" / "0123abc" / inner
    folder.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for name in ("big.onnx", "big.bin"):
        if name == "big.onnx" and not model_too:
            (external.parent / name).replace(folder / name)
        else:
            (external.parent / name).replace(cache / "blobs" / f"hash-of-{name}")
            up = "../" * (3 if inner else 2)
            (folder / name).symlink_to(f"{up}blobs/hash-of-{name}")
    model = load(folder / "big.onnx")
    np.testing.assert_array_equal(capture(model).params["w"].read(), ARRAYS["w"])
    save(model, external.parent / "copy.onnx")
    again = onnx.load(external.parent / "copy.onnx", load_external_data=False)
    places = {e.value for t in again.graph.initializer for e in t.external_data if e.key == "location"}
    assert places <= {"copy.onnx.data"}
    np.testing.assert_array_equal(_held(load(external.parent / "copy.onnx"))["w"], ARRAYS["w"])


def test_data_of_a_cache_that_links_elsewhere_is_refused(
    external: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = external.parent / "models--some--net" / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    external.replace(folder / "big.onnx")
    outside = tmp_path_factory.mktemp("outside") / "big.bin"
    (external.parent / "big.bin").replace(outside)
    (folder / "big.bin").symlink_to(outside)
    with pytest.raises(ModelError, match=r"is a link out of the model's folder, to '.*outside"):
        load(folder / "big.onnx")


def test_links_within_the_folder_and_hard_links_are_followed(external: Path) -> None:
    data = external.parent / "big.bin"
    (external.parent / "store").mkdir()
    data.replace(external.parent / "store" / "data")
    data.symlink_to("store/data")
    np.testing.assert_array_equal(_held(load(external))["w"], ARRAYS["w"])
    data.unlink()
    data.hardlink_to(external.parent / "store" / "data")
    np.testing.assert_array_equal(_held(load(external))["w"], ARRAYS["w"])
