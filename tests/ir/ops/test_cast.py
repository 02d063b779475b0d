"""Copies, dropout at inference and casts in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Sampler, UnsupportedError, registry
from tests.probe import data, probe_aten, probe_onnx

COPIES = ["clone", "alias", "alias_copy", "detach", "detach_copy", "lift", "lift_fresh", "lift_fresh_copy"]


@pytest.mark.parametrize("name", COPIES)
def test_torch_copies(name: str) -> None:
    probe_aten(f"{name}.default", data(2, 3))
    probe_aten(f"{name}.default", np.arange(3))


def test_torch_memory_formats_change_nothing() -> None:
    import torch

    probe_aten("contiguous.default", data(1, 2, 3, 3), memory_format=torch.channels_last)
    probe_aten("clone.default", data(1, 2, 3, 3), memory_format=torch.channels_last)
    probe_aten("_to_copy.default", data(1, 2, 3, 3), memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "bool", "bfloat16"])
@pytest.mark.parametrize("target", ["_to_copy.default", "to.dtype"])
def test_torch_casts(dtype: str, target: str) -> None:
    import torch

    kind = getattr(torch, dtype)
    x = np.array([0.0, -1.5, 2.5, 3.0])
    for array in (x, x.astype(np.int64), x.astype(bool)):
        if dtype != "bfloat16":
            given: dict[str, Any] = {} if target == "to.dtype" else {"dtype": kind}
            probe_aten(target, array, *([kind] if target == "to.dtype" else []), **given)
    op, spelling = registry().aten(target) or (None, None)
    assert op is not None and spelling is not None and spelling.fix is not None
    assert spelling.fix({"dtype": kind}, ()) == spelling.fix({"dtype": dtype}, ()) == {"dtype": dtype}


@pytest.mark.parametrize("target", ["type_as.default", "to.other"])
@pytest.mark.parametrize("other", [np.zeros(3, np.int64), np.zeros((), np.float32)])
def test_torch_casts_to_the_dtype_of_another(target: str, other: Array) -> None:
    probe = probe_aten(target, np.array([1.5, -2.0]), other)
    assert probe.rule.operands[1] is None


@pytest.mark.parametrize("opset", [7, 9, 13, 25])
@pytest.mark.parametrize("to", [1, 6, 7, 9, 11])
def test_onnx_cast(opset: int, to: int) -> None:
    for array in (np.array([0.0, -1.5, 2.5]), np.array([0, 3], np.int32)):
        probe_onnx("Cast", opset, [array], {"to": to})


def test_onnx_cast_like() -> None:
    probe_onnx("CastLike", 15, [data(3, low=1, high=9), np.zeros(2, np.int32)])


def test_floats_are_not_rounded_between_float_types() -> None:
    op = registry()["cast"]
    probe = probe_aten("_to_copy.default", data(2))
    tiny = np.array([1.0 + 1e-12])
    for name in ("float16", "bfloat16", "float32"):
        call = type(probe.call)({"dtype": name}, ((1,),))
        assert op.run(call, (tiny,))[0][0] == tiny[0]


def test_a_truth_value_is_at_most_one() -> None:
    import torch

    assert probe_aten("_to_copy.default", np.array([0.0, 5.0]), dtype=torch.bool).magnitude()[0].max() == 1.0


def test_an_element_type_that_nobody_computes_in_is_refused() -> None:
    _, spelling = registry().onnx("Cast", 13) or (None, None)
    assert spelling is not None and spelling.fix is not None
    with pytest.raises(UnsupportedError, match="dtype number 8"):
        spelling.fix({"dtype": 8}, ())


def test_dropout_does_nothing_at_inference() -> None:
    probe_aten("dropout.default", data(2, 3), 0.5, False)
    probe = probe_aten("native_dropout.default", data(2, 3), 0.5, False)
    samples = data(4, 2, 1)
    moved = probe.op.flow.moments(probe.op, probe.call, (samples,), Sampler())
    assert moved[0] is samples and moved[1] is not None and moved[1].all()
    with pytest.raises(UnsupportedError, match="active"):
        probe_aten("dropout.default", data(2, 3), 0.5, True)


@pytest.mark.parametrize("opset", [7, 10, 12, 13, 22])
@pytest.mark.parametrize("outputs", [1, 2])
def test_onnx_dropout_passes_and_masks_nothing(opset: int, outputs: int) -> None:
    if opset >= 12 or outputs == 1:
        probe_onnx("Dropout", opset, [data(2, 3)], outputs=outputs)
    if opset < 12:
        probe_onnx("Dropout", opset, [data(2, 3)], {"ratio": 0.3})
    else:
        given: list[Array | None] = [data(2, 3), np.array(0.3, np.float32), np.array(False)]
        probe_onnx("Dropout", opset, given, outputs=outputs)


@pytest.mark.parametrize("opset", [7, 14, 25])
def test_onnx_identity(opset: int) -> None:
    probe_onnx("Identity", opset, [data(2, 3)])
