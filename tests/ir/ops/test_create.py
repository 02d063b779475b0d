"""Fills in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Atom, Call, Sampler, registry
from prunepass.ir._cutting import cut_attrs
from tests.probe import Probe, data, probe_aten, probe_onnx


def made(probe: Probe) -> Any:
    return probe.op.run(probe.call, probe.arrays)[0]


@pytest.mark.parametrize("shape", [[2, 3], [4, 1], [], [0, 2]])
def test_torch_fills_of_an_explicit_shape(shape: list[int]) -> None:
    probe_aten("full.default", shape, 2.5)
    probe_aten("zeros.default", shape)
    probe_aten("ones.default", shape)
    probe_aten("new_full.default", data(3), shape, -1.5)
    probe_aten("new_zeros.default", data(3), shape)
    probe_aten("new_ones.default", data(3), shape)


@pytest.mark.parametrize(("value", "kind"), [(2.5, "f"), (3, "i"), (True, "b")])
def test_a_fill_has_the_dtype_of_its_value(value: Any, kind: str) -> None:
    assert made(probe_aten("full.default", [2], value)).dtype.kind == kind
    assert made(probe_aten("new_full.default", np.arange(3), [2], 3)).dtype == np.int64


def test_torch_numbers() -> None:
    import torch

    assert made(probe_aten("scalar_tensor.default", 2.5)).shape == ()
    assert made(probe_aten("scalar_tensor.default", 2, dtype=torch.int64)).dtype == np.int64


def test_what_is_not_filled_is_taken_for_zero() -> None:
    for target in ("empty.memory_format", "new_empty.default", "empty_like.default"):
        op, spelling = registry().aten(target) or (None, None)
        assert op is not None and spelling is not None and spelling.fix is not None
        assert spelling.fix({"shape": [2], "dtype": None}, ())["value"] == 0


def test_fills_like_another_share_its_dims() -> None:
    import torch

    for target, args in (("full_like", (2.5,)), ("zeros_like", ()), ("ones_like", ())):
        rule = probe_aten(f"{target}.default", data(2, 3), *args).rule
        assert rule.results[0] == rule.operands[0]
        assert made(probe_aten(f"{target}.default", data(2), *args, dtype=torch.int64)).dtype == np.int64


def test_new_fills_read_nothing_of_the_other() -> None:
    assert probe_aten("new_zeros.default", data(2, 3), [2, 3]).rule.operands == (None,)


@pytest.mark.parametrize("opset", [9, 20, 25])
def test_onnx_constant_of_shape(opset: int) -> None:
    from onnx import numpy_helper

    shape = np.array([2, 3], np.int64)
    assert made(probe_onnx("ConstantOfShape", opset, [shape])).dtype == np.float32
    op, spelling = registry().onnx("ConstantOfShape", opset) or (None, None)
    assert op is not None and spelling is not None and spelling.fix is not None
    value = numpy_helper.to_array(numpy_helper.from_array(np.array([7], np.int64)))
    attrs = spelling.fix({"shape": shape, "value": value}, ())
    assert attrs == {"shape": (2, 3), "value": 7, "dtype": "int64"}
    assert op.run(Call(attrs, ()), ())[0].tolist() == [[7] * 3] * 2


def test_an_explicit_shape_follows_a_cut() -> None:
    probe = probe_aten("full.default", [2, 6], 1.0)
    width = probe.rule.results[0][1]
    assert isinstance(width, Atom)
    cut: Any = cut_attrs(probe.call.attrs, probe.rule, lambda dim: dim, {width: np.array([1, 4])})
    assert cut["shape"] == (2, 2)


@pytest.mark.parametrize("value", [2.5, np.array(2.5)])
def test_torch_fill(value: Any) -> None:
    target = "fill.Tensor" if isinstance(value, np.ndarray) else "fill.Scalar"
    probe = probe_aten(target, data(2, 3), value)
    (sample,) = probe.op.flow.moments(probe.op, probe.call, (None, np.array([2.5])), Sampler())
    assert sample is not None and sample.shape == (1, 1, 1)
    assert (probe.magnitude()[0] == 2.5).all()


def test_a_fill_is_one_sample_of_itself() -> None:
    probe = probe_aten("full_like.default", data(2, 3), -2.5)
    (sample,) = probe.op.flow.moments(probe.op, probe.call, (None,), Sampler())
    assert sample is not None and sample.shape == (1, 2, 3) and (sample == -2.5).all()
    assert (probe.magnitude()[0] == 2.5).all()
