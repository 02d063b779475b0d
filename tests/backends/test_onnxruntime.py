from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from prunepass import backends
from prunepass.ir import BackendError, ModelError, UsageError

onnx = pytest.importorskip("onnx")
onnx_ir = pytest.importorskip("onnx_ir")
pytest.importorskip("onnxruntime")

from tests.backends.nets import conv_net, linear_net, loop_net  # noqa: E402  (needs onnx)

ORT = backends.get("onnxruntime")
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
X = np.array([[1, 2], [3, 4]], np.float32)


@pytest.mark.parametrize("form", ["path", "text", "bytes", "proto", "ir"])
def test_every_form_of_a_model_computes_the_same(form: str, tmp_path: Path) -> None:
    net, file = linear_net(WEIGHT), tmp_path / "net.onnx"
    onnx.save(net, file)
    forms = {
        "path": file,
        "text": str(file),
        "bytes": file.read_bytes(),
        "proto": net,
        "ir": onnx_ir.load(file),
    }
    with ORT.build(forms[form]) as engine:
        np.testing.assert_array_equal(engine.run({"x": X})["y"], X @ WEIGHT)


def test_an_engine_states_its_inputs_and_outputs_with_free_dims() -> None:
    with ORT.build(linear_net(WEIGHT)) as engine:
        assert isinstance(engine, backends.Engine)
        assert engine.backend is ORT
        assert engine.inputs == (backends.TensorSpec("x", ("batch", 2), "float32"),)
        assert engine.outputs == (backends.TensorSpec("y", ("batch", 3), "float32"),)


def test_a_saved_engine_computes_the_same(tmp_path: Path) -> None:
    file = tmp_path / "engine.onnx"
    with ORT.build(conv_net(), options={"optimization": "extended"}) as engine:
        engine.save(file)
        feeds = backends.random_feeds(engine.inputs)
        wanted = engine.run(feeds)["y"]
    with ORT.build(file) as again:
        # Another layout sums 9 * 16 products in another order.
        np.testing.assert_allclose(
            again.run(feeds)["y"], wanted, rtol=0, atol=144 * 2**-23 * np.abs(wanted).max()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["engine.onnx"]


def test_saving_to_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    with ORT.build(linear_net(WEIGHT)) as engine, pytest.raises(UsageError, match="cannot write"):
        engine.save(tmp_path / "missing" / "engine.onnx")


def test_the_optimisation_level_decides_what_is_fused() -> None:
    kinds = {}
    for level in ("none", "all"):
        with ORT.build(conv_net(), options={"optimization": level}) as engine:
            kinds[level] = [layer.kind for layer in engine.layers()]
    assert kinds["none"] == ["Conv"] * 3
    assert kinds["all"] != kinds["none"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the blocked layout is of x86")
def test_layers_tell_what_is_on_the_blocked_layout() -> None:
    moves = {}
    for channels in (16, 7):
        with ORT.build(conv_net(channels)) as engine:
            layouts = [layer.layout for layer in engine.layers()]
        assert layouts.count("blocked") + layouts.count("") == 3
        moves[channels] = layouts.count("reorder")
    assert moves[16] == 1
    assert moves[7] > moves[16]


def test_an_engine_runs_on_one_thread_unless_told_otherwise() -> None:
    for options, threads in (({}, 1), ({"threads": 2}, 2)):
        with ORT.build(linear_net(WEIGHT), options=options) as engine:
            assert engine._session.get_session_options().intra_op_num_threads == threads


def test_a_profile_lists_the_layers_in_order_and_their_shares_are_whole() -> None:
    with ORT.build(conv_net(), options={"optimization": "none"}) as engine:
        times = engine.profile(runs=3)
    assert [time.name for time in times] == ["conv0", "conv1", "conv2"]
    assert {time.kind for time in times} == {"Conv"}
    assert sum(time.share for time in times) == pytest.approx(1)


def test_a_profile_of_a_loop_lists_each_node_once() -> None:
    with ORT.build(loop_net(5), options={"optimization": "none"}) as engine:
        names = [time.name for time in engine.profile(runs=2)]
        np.testing.assert_array_equal(engine.run({"x": np.ones(4, np.float32)})["y"], np.full(4, 32.0))
    assert names.count("double") == 1


def test_a_profile_of_nothing_is_refused() -> None:
    with ORT.build(linear_net(WEIGHT)) as engine, pytest.raises(UsageError, match="at least 1"):
        engine.profile(runs=0)


def test_an_ir_version_that_is_too_new_is_told_with_the_way_out() -> None:
    net = linear_net(WEIGHT)
    net.ir_version = 99
    with pytest.raises(ModelError, match=r"IR version 99 .*ir_version=10"):
        ORT.build(net)


@pytest.mark.parametrize("content", [b"\0" * 10, b"hello", np.random.default_rng(0).bytes(200)])
@pytest.mark.parametrize("form", ["bytes", "path"])
def test_random_bytes_are_no_model(content: bytes, form: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX model"):
        ORT.build(file if form == "path" else content)


def test_an_operator_without_a_kernel_is_told() -> None:
    net = linear_net(WEIGHT)
    net.graph.node[0].op_type = "Unheard"
    with pytest.raises(ModelError, match="Unheard"):
        ORT.build(net)


def test_feeds_that_do_not_fit_are_the_users_mistake() -> None:
    with ORT.build(linear_net(WEIGHT)) as engine:
        for feeds in ({}, {"x": X, "z": X}, {"x": X.astype(np.float64)}, {"x": X[:, :1]}):
            with pytest.raises(UsageError):
                engine.run(feeds)


def test_what_the_engine_refuses_at_run_time_is_the_models_fault() -> None:
    net = linear_net(WEIGHT)
    shape = onnx.numpy_helper.from_array(np.array([5, 5]), "shape")
    net.graph.initializer.append(shape)
    net.graph.node.append(onnx.helper.make_node("Reshape", ["y", "shape"], ["z"], "unfit"))
    net.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, (5, 5)))
    with ORT.build(net) as engine, pytest.raises(ModelError, match="unfit"):
        engine.run({"x": X})


def test_a_closed_engine_says_so() -> None:
    with ORT.build(linear_net(WEIGHT)) as engine:
        pass
    with pytest.raises(UsageError, match="closed"):
        engine.run({"x": X})


def test_the_users_model_is_left_as_it_was() -> None:
    net = linear_net(WEIGHT)
    before = net.SerializeToString()
    with ORT.build(net) as engine:
        engine.layers()
    assert net.SerializeToString() == before


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_installed_is_refused_with_what_is(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=rf"with CPUExecutionProvider, without (?i:{provider})Exec.*-gpu"):
        ORT.build(linear_net(WEIGHT), options={"provider": provider})


def test_a_provider_that_onnxruntime_silently_leaves_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    asked = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model: object, settings: object, providers: list[str]) -> None:
            asked.append(providers)
            super().__init__(model, settings, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(BackendError, match="CUDAExecutionProvider does not start"):
        ORT.build(linear_net(WEIGHT), options={"provider": "cuda"})
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"]]
