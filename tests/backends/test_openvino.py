from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prunepass import backends
from prunepass.ir import BackendError, ModelError, UnsupportedError, UsageError

onnx = pytest.importorskip("onnx")
onnx_ir = pytest.importorskip("onnx_ir")
pytest.importorskip("openvino")

from tests.backends.nets import conv_net, doubling_net, linear_net  # noqa: E402  (needs onnx)

OV = backends.get("openvino")
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
    with OV.build(forms[form]) as engine:
        np.testing.assert_array_equal(engine.run({"x": X})["y"], X @ WEIGHT)


def test_weights_in_a_second_file_are_found(tmp_path: Path) -> None:
    net = onnx_ir.from_proto(linear_net(WEIGHT))
    onnx_ir.save(net, tmp_path / "n.onnx", external_data="n.data", size_threshold_bytes=0)
    with OV.build(tmp_path / "n.onnx") as engine:
        np.testing.assert_array_equal(engine.run({"x": X})["y"], X @ WEIGHT)


def test_an_engine_states_its_inputs_and_outputs_with_free_dims() -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        assert isinstance(engine, backends.Engine)
        assert engine.backend is OV
        assert engine.inputs == (backends.TensorSpec("x", ("?", 2), "float32"),)
        assert engine.outputs == (backends.TensorSpec("y", ("?", 3), "float32"),)
        assert engine.memory() == backends.Memory()


def test_a_free_dim_takes_one_size_after_another() -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        for rows in (2, 5, 0, 1):
            x = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
            np.testing.assert_array_equal(engine.run({"x": x})["y"], x @ WEIGHT)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int32", "int64", "uint8", "float16", "bfloat16", "float32", "float64"]
)
def test_every_type_of_input_keeps_its_type_and_values(dtype: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    x = np.array([[0, 1], [3, 1.5]]).astype(kind)
    with OV.build(doubling_net(dtype)) as engine:
        assert [engine.inputs[0].dtype, engine.outputs[0].dtype] == [dtype, dtype]
        made = engine.run({"x": x})["y"]
    assert made.dtype == kind
    np.testing.assert_array_equal(made, x if dtype == "bool" else x + x)


def test_arrays_in_any_order_of_memory_are_read_right() -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    fixed = x.copy()
    fixed.flags.writeable = False
    with OV.build(linear_net(WEIGHT)) as engine:
        for same in (x.T.copy().T, x[::-1][::-1], x.astype(">f4"), fixed, x.tolist()):
            given = np.asarray(same, np.float32) if isinstance(same, list) else same
            np.testing.assert_array_equal(engine.run({"x": given})["y"], x @ WEIGHT)


def test_a_result_stays_when_the_engine_runs_again() -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        first = engine.run({"x": X})["y"]
        engine.run({"x": X * 2})
    np.testing.assert_array_equal(first, X @ WEIGHT)


def test_it_computes_in_float32_unless_told_otherwise() -> None:
    with OV.build(conv_net()) as engine:
        assert str(engine._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()) == "f32"
        assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 1
        assert engine._compiled.get_property("NUM_STREAMS") == 1
    with OV.build(conv_net(), options={"threads": "2"}) as engine:
        assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_a_precision_that_the_processor_lacks_is_refused_with_what_it_has() -> None:
    import openvino

    offered = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for precision, word in (("f32", "FP32"), ("bf16", "BF16"), ("f16", "FP16")):
        if word in offered:
            with OV.build(conv_net(), options={"precision": precision}) as engine:
                hint = engine._compiled.get_property("INFERENCE_PRECISION_HINT")
                assert hint.get_type_name() == precision
        else:
            with pytest.raises(BackendError, match="f32"):
                OV.build(conv_net(), options={"precision": precision})


def test_what_a_processor_offers_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(BackendError, match=r"nothing in bf16 .*it offers f32"):
        OV.build(linear_net(WEIGHT), options={"precision": "bf16"})


@pytest.mark.parametrize("suffix", ["blob", "xml"])
def test_a_saved_engine_computes_the_same(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"engine.{suffix}"
    with OV.build(conv_net()) as engine:
        engine.save(file)
        feeds = backends.random_feeds(engine.inputs)
        wanted = engine.run(feeds)["y"]
        specs = engine.inputs, engine.outputs
    with OV.build(file) as again:
        assert (again.inputs, again.outputs) == specs
        np.testing.assert_array_equal(again.run(feeds)["y"], wanted)
        assert again.layers()
        again.save(tmp_path / f"again.{suffix}")
    beside = {"engine.bin", "again.bin"} if suffix == "xml" else set()
    assert {path.name for path in tmp_path.iterdir()} == {file.name, f"again.{suffix}"} | beside


@pytest.mark.parametrize("suffix", ["blob", "xml"])
def test_saved_files_are_the_same_each_time(suffix: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with OV.build(conv_net()) as engine:
            engine.save(tmp_path / folder / f"engine.{suffix}")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
        assert str(tmp_path).encode() not in file.read_bytes()


def test_saving_under_another_name_or_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        with pytest.raises(UsageError, match="cannot write"):
            engine.save(tmp_path / "missing" / "engine.blob")
        with pytest.raises(UsageError, match=r"\.xml"):
            engine.save(tmp_path / "engine.onnx")
        engine.save(tmp_path / "engine.blob")
    with OV.build(tmp_path / "engine.blob") as engine, pytest.raises(UsageError, match="portable"):
        engine.save(tmp_path / "engine.xml")


def test_layers_are_the_steps_with_what_they_cover() -> None:
    with OV.build(conv_net()) as engine:
        layers = engine.layers()
    steps = [layer for layer in layers if layer.layout != "reorder"]
    assert [layer.kind.split()[0] for layer in steps] == ["Convolution"] * 3
    assert [layer.nodes for layer in steps[:2]] == [("conv0",), ("conv1",)]
    assert not {"Const", "Input", "Output"} & {layer.kind.split()[0] for layer in layers}


def test_a_profile_lists_the_layers_in_order_and_their_shares_are_whole() -> None:
    with OV.build(conv_net(64)) as engine:
        times = engine.profile(backends.random_feeds(engine.inputs, {"?": 8}), runs=3)
        names = [layer.name for layer in engine.layers()]
    assert [time.name for time in times if time.name in names] == [time.name for time in times]
    assert [time.kind.split()[0] for time in times].count("Convolution") == 3
    assert sum(time.share for time in times) == pytest.approx(1)


def test_a_profile_of_nothing_is_refused() -> None:
    with OV.build(linear_net(WEIGHT)) as engine, pytest.raises(UsageError, match="at least 1"):
        engine.profile(runs=0)


@pytest.mark.parametrize("content", [b"\0" * 10, b"hello", np.random.default_rng(0).bytes(200)])
@pytest.mark.parametrize("form", ["bytes", "path"])
def test_random_bytes_are_no_model(content: bytes, form: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX model"):
        OV.build(file if form == "path" else content)


@pytest.mark.parametrize("suffix", ["blob", "xml"])
def test_random_bytes_are_no_saved_engine(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"engine.{suffix}"
    file.write_bytes(np.random.default_rng(0).bytes(200))
    with pytest.raises(ModelError, match=f"engine.{suffix}"):
        OV.build(file)


def test_nothing_of_a_refusal_reaches_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"hello")
    code = (
        "import sys; from prunepass import backends\n"
        "try: backends.get('openvino').build(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "net.onnx")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("ModelError\n", "")


def test_an_empty_or_a_missing_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    with pytest.raises(ModelError, match="empty"):
        OV.build(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="no such file"):
        OV.build(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="no ONNX model"):
        OV.build(onnx.ModelProto(ir_version=10))


def test_an_operator_without_a_rule_is_told() -> None:
    net = linear_net(WEIGHT)
    net.graph.node[0].op_type = "Unheard"
    with pytest.raises(UnsupportedError, match="Unheard"):
        OV.build(net)


def test_feeds_that_do_not_fit_are_the_users_mistake() -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        for feeds in ({}, {"x": X, "z": X}, {"x": X.astype(np.float64)}, {"x": X[:, :1]}, {"x": X[0]}):
            with pytest.raises(UsageError):
                engine.run(feeds)


def test_results_carry_the_models_own_names() -> None:
    net = linear_net(WEIGHT)
    for name in ("b", "a"):
        net.graph.node.append(onnx.helper.make_node("Identity", ["y"], [name], f"as_{name}"))
        net.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", 3)))
    with OV.build(net) as engine:
        assert [spec.name for spec in engine.outputs] == ["y", "b", "a"]
        for made in engine.run({"x": X}).values():
            np.testing.assert_array_equal(made, X @ WEIGHT)


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    with OV.build(linear_net(WEIGHT)) as engine:
        pass
    for use in (lambda: engine.run({"x": X}), engine.layers, lambda: engine.save(tmp_path / "e.blob")):
        with pytest.raises(UsageError, match="closed"):
            use()


def test_the_users_model_is_left_as_it_was() -> None:
    net = linear_net(WEIGHT)
    before = net.SerializeToString()
    with OV.build(net) as engine:
        engine.layers()
    assert net.SerializeToString() == before
