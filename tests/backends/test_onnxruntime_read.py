from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from prunepass.backends import TensorSpec
from prunepass.backends._onnxruntime_read import model_error, tensor_spec, times_of
from prunepass.ir import BackendError, UnsupportedError


def node(name: str, duration: int, kind: str = "Conv") -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": {"op_name": kind}}


END = {"cat": "Session", "name": "model_run", "dur": 1, "args": {}}


def test_times_are_medians_over_inferences() -> None:
    events = [event for each in (10, 30, 20) for event in (node("a", each), node("b", 20, "Add"), END)]
    times = times_of(json.dumps(events).encode())
    assert [(time.name, time.kind, time.microseconds, time.share) for time in times] == [
        ("a", "Conv", 20, 0.5),
        ("b", "Add", 20, 0.5),
    ]


def test_a_node_that_runs_twice_in_an_inference_counts_twice() -> None:
    events = [node("a", 5), node("a", 7), END, node("a", 5), node("a", 7), END]
    assert times_of(json.dumps(events).encode())[0].microseconds == 12


def test_the_first_inference_can_be_left_out() -> None:
    events = [node("a", 1000), END, node("a", 5), END]
    assert times_of(json.dumps(events).encode(), skip=1)[0].microseconds == 5


def test_a_profile_without_nodes_has_no_times() -> None:
    assert times_of(json.dumps([END]).encode()) == ()


@pytest.mark.parametrize("profile", [b"", b"{", b"{}", b"\xff"])
def test_what_is_no_profile_is_told(profile: bytes) -> None:
    with pytest.raises(BackendError, match="profile"):
        times_of(profile)


def test_free_dims_without_a_name_are_marked() -> None:
    given = SimpleNamespace(name="x", type="tensor(int64)", shape=[None, "batch", 3])
    assert tensor_spec(given) == TensorSpec("x", ("?", "batch", 3), "int64")


def test_what_is_no_tensor_keeps_the_engines_own_word() -> None:
    given = SimpleNamespace(name="x", type="seq(tensor(float))", shape=[])
    assert tensor_spec(given).dtype == "seq(tensor(float))"


def test_a_missing_kernel_is_a_lack_of_support() -> None:
    error = RuntimeError(
        "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for X(1)"
    )
    found = model_error(error, b"")
    assert isinstance(found, UnsupportedError)
    assert "ONNXRuntimeError" not in str(found)
