"""What a build refuses, what it leaves behind, and TensorRT itself played by the package of TensorRT-RTX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from traceback import walk_tb
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prunepass import backends
from prunepass.backends import _tensorrt, _tensorrt_build, _tensorrt_log
from prunepass.ir import BackendError, ModelError, PrunepassError, UnsupportedError, UsageError

trt = pytest.importorskip("tensorrt_rtx")
onnx = pytest.importorskip("onnx")

from tests.backends.gpu import FakeCuda  # noqa: E402
from tests.backends.nets import conv_net, linear_net  # noqa: E402  (needs onnx)
from tests.cli.nets import classifier  # noqa: E402

RTX = backends.get("tensorrt-rtx")
SM89 = {"compute_capability": "sm89"}
ONE = {**SM89, "shapes": "x=1x3x8x8"}


def plan(net: object, **options: object) -> bytes:
    with RTX.build(net, options={**SM89, **options}) as engine:
        return engine._built.plan


@pytest.mark.parametrize("content", [b"\0" * 10, b"hello", np.random.default_rng(0).bytes(200)])
@pytest.mark.parametrize("form", ["bytes", "path"])
def test_random_bytes_are_no_model(content: bytes, form: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX model"):
        plan(file if form == "path" else content)


def test_empty_and_missing_models_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    for empty in (b"", tmp_path / "empty.onnx"):
        with pytest.raises(ModelError, match="empty"):
            plan(empty)
    with pytest.raises(UsageError, match="no such file"):
        plan(tmp_path / "missing.onnx")


def test_an_unknown_operator_is_unsupported_with_its_node() -> None:
    net = linear_net(np.ones((2, 3)))
    net.graph.node[0].op_type = "Unheard"
    with pytest.raises(UnsupportedError, match="Unheard") as caught:
        plan(net)
    assert caught.value.where == "linear"


def test_what_the_parser_refuses_names_the_node() -> None:
    net = conv_net()
    net.graph.node[1].input[1] = "nowhere"
    with pytest.raises(ModelError, match="'conv1'") as caught:
        plan(net)
    assert caught.value.where == "conv1" and not isinstance(caught.value, UnsupportedError)


def test_what_the_builder_refuses_tells_its_reason() -> None:
    with pytest.raises(ModelError, match="FP32 GEMM is not supported") as caught:
        plan(linear_net(np.ones((64, 64))), compute_capability="sm75", shapes="x=1x64")
    assert "/_src/" not in str(caught.value)


def test_the_messages_of_two_builds_stay_apart() -> None:
    # TensorRT has one logger for all that is alive, besides those of the builders.
    builder = trt.Builder(_tensorrt_log.listener(trt, _tensorrt_log.Log()))
    with RTX.build(classifier(), options=SM89) as one, RTX.build(conv_net(), options=ONE) as other:
        assert {node for layer in one.layers() for node in layer.nodes} >= {"head"}
        assert {node for layer in other.layers() for node in layer.nodes} == {"conv0", "conv1", "conv2"}
    del builder


GARBAGE = """
import gc
import tensorrt_rtx as trt
from prunepass import backends
from prunepass.backends import _tensorrt_log as log
from tests.cli.nets import classifier

class Cycle:
    pass

gc.set_threshold(10**6)
one = Cycle()
one.itself, one.builder = one, trt.Builder(log.listener(trt, log.Log()))
del one
add = log.Log.add

def collecting(self, severity, text):
    if gc.isenabled():
        gc.collect()
    add(self, severity, text)

log.Log.add = collecting
backends.get("tensorrt-rtx").build(classifier(), options={"compute_capability": "sm89"})
print("built", gc.isenabled())
"""


def test_a_forgotten_builder_is_not_collected_while_tensorrt_holds_its_lock() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", GARBAGE], cwd=root, capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.strip() == "built True"


def test_an_error_keeps_nothing_of_tensorrt() -> None:
    net = conv_net()
    net.graph.node[1].input[1] = "nowhere"
    for wrong in (net, conv_net(), b"hello"):
        with pytest.raises(PrunepassError) as caught:
            RTX.build(wrong, options=SM89)
        frames = [frame for frame, _ in walk_tb(caught.value.__traceback__)]
        held = [value for frame in frames for value in frame.f_locals.values()]
        assert len(frames) > 3 and not [
            value
            for value in held
            if isinstance(value, (trt.Builder, trt.OnnxParser, trt.INetworkDefinition))
        ]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> backends.Backend:
    """TensorRT, played by the package of TensorRT-RTX without the names that only that has."""
    names = {name: getattr(trt, name) for name in dir(trt) if name[0] != "_" and name != "ComputeCapability"}
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(**names, __version__="11.1.0"))
    monkeypatch.setattr(_tensorrt, "load_cuda", lambda install: FakeCuda())
    return backends.get("tensorrt")


@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")
def test_tensorrt_builds_for_the_gpu_that_is_there_with_a_timing_cache(
    full: backends.Backend, tmp_path: Path
) -> None:
    cache = tmp_path / "kernels.cache"
    for _ in range(2):
        with full.build(classifier(), options={"timing_cache": str(cache)}) as engine:
            assert engine.layers()
    assert cache.stat().st_size > 0
    with pytest.raises(UsageError, match="compute_capability"):
        full.build(classifier(), options=SM89)


def test_limits_reach_the_builder_in_its_units_and_are_its_own_unless_given() -> None:
    config = trt.Builder(_tensorrt_log.listener(trt, _tensorrt_log.Log())).create_builder_config()
    pool = trt.MemoryPoolType.WORKSPACE
    before = config.get_memory_pool_limit(pool), config.builder_optimization_level
    _tensorrt_build._configure(trt, config, _tensorrt_build.Settings({}))
    assert (config.get_memory_pool_limit(pool), config.builder_optimization_level) == before
    _tensorrt_build._configure(trt, config, _tensorrt_build.Settings({}, workspace=64, level=1))
    assert (config.get_memory_pool_limit(pool), config.builder_optimization_level) == (64 * 2**20, 1)


def test_a_timing_cache_of_another_gpu_is_refused(tmp_path: Path) -> None:
    config = SimpleNamespace(create_timing_cache=lambda content: None, set_timing_cache=lambda *given: False)
    with pytest.raises(UsageError, match="another GPU"):
        _tensorrt_build._read_cache(config, tmp_path / "kernels.cache")


def test_a_builder_that_does_not_start_is_an_unavailable_backend(
    full: backends.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def factory(logger: Any) -> Any:
        logger.log(SimpleNamespace(name="ERROR"), "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(sys.modules["tensorrt"], "Builder", factory)
    with pytest.raises(BackendError, match="CUDA initialization failure"):
        full.build(classifier())
