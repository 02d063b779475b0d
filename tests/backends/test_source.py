from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunepass.backends import onnx_source
from prunepass.ir import ModelError, UsageError

onnx = pytest.importorskip("onnx")
onnx_ir = pytest.importorskip("onnx_ir")

from tests.backends.nets import linear_net  # noqa: E402  (needs onnx)

WEIGHT = np.arange(6.0).reshape(2, 3)


def test_a_path_stays_a_path_and_bytes_stay_bytes(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"content")
    assert onnx_source(str(file)) == onnx_source(file) == file
    assert onnx_source(b"content") == b"content"


def test_a_model_proto_is_serialised() -> None:
    net = linear_net(WEIGHT)
    assert onnx_source(net) == net.SerializeToString()


def test_an_onnx_ir_model_is_serialised_and_left_as_it_was() -> None:
    net = onnx_ir.from_proto(linear_net(WEIGHT))
    before = onnx_ir.to_proto(net).SerializeToString()
    assert onnx_source(net) == before
    assert onnx_ir.to_proto(net).SerializeToString() == before


def test_weights_in_a_second_file_are_taken_along(tmp_path: Path) -> None:
    onnx_ir.save(
        onnx_ir.from_proto(linear_net(WEIGHT)),
        tmp_path / "n.onnx",
        external_data="n.data",
        size_threshold_bytes=0,
    )
    net = onnx_ir.load(tmp_path / "n.onnx")
    held = onnx_ir.from_proto(onnx.ModelProto.FromString(onnx_source(net)))
    np.testing.assert_array_equal(held.graph.initializers["w"].const_value.numpy(), WEIGHT)
    assert isinstance(net.graph.initializers["w"].const_value, onnx_ir.ExternalTensor)


@pytest.mark.parametrize("empty", [b"", "file"])
def test_nothing_is_no_model(empty: object, tmp_path: Path) -> None:
    if empty == "file":
        empty = tmp_path / "net.onnx"
        empty.touch()
    with pytest.raises(ModelError, match="empty"):
        onnx_source(empty)


def test_an_empty_model_proto_is_no_model() -> None:
    with pytest.raises(ModelError, match="empty"):
        onnx_source(onnx.ModelProto())


@pytest.mark.parametrize("other", [object(), 3, None, onnx_ir.Graph([], [], nodes=[])])
def test_anything_else_is_refused_with_what_is_taken(other: object) -> None:
    with pytest.raises(UsageError) as caught:
        onnx_source(other)
    assert type(other).__name__ in str(caught.value)


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        onnx_source(tmp_path / "net.onnx")


def test_a_model_beyond_the_limit_of_protocol_buffers_is_refused_with_the_way_out() -> None:
    class Huge:
        def ByteSize(self) -> int:  # noqa: N802  (its name in protocol buffers)
            return 3 * 2**30

        SerializeToString = ByteSize

    with pytest.raises(ModelError, match="pass the path"):
        onnx_source(Huge())
