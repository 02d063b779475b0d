"""Quantising to codes and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Call, Sampler, UnsupportedError, registry
from tests.probe import data, probe_onnx

X = data(2, 5, 4, 3, high=3.0)
STEPS = data(5, seed=1, low=0.01, high=0.03)
CODES = np.random.default_rng(2).integers(-128, 128, X.shape).astype(np.int8)


def zeros(dtype: type, *shape: int) -> Array:
    return np.random.default_rng(3).integers(0, 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize(("step", "shape"), [(STEPS, (5,)), (np.float32(0.02), ())])
def test_every_entry_becomes_a_code_and_a_number_again(
    dtype: type, step: Array, shape: tuple[int, ...]
) -> None:
    opset = 21 if np.dtype(dtype).itemsize > 1 else 13
    probe = probe_onnx("QuantizeLinear", opset, [X, np.asarray(step), zeros(dtype, *shape)], {"axis": 1})
    codes = probe.op.run(probe.call, probe.arrays)[0]
    assert codes.dtype == dtype
    back = probe_onnx(
        "DequantizeLinear", opset, [codes, np.asarray(step), zeros(dtype, *shape)], {"axis": -3}
    )
    assert [dim.size for dim in back.rule.results[0] if isinstance(dim, Atom)] == list(X.shape)


@pytest.mark.parametrize(
    ("opset", "attrs"), [(10, {}), (13, {}), (19, {"saturate": 0}), (23, {"precision": 1})]
)
def test_one_step_for_all_needs_no_axis(opset: int, attrs: dict[str, Any]) -> None:
    for shape in ((), (1,)):
        probe_onnx("QuantizeLinear", opset, [X[0, :, 0, 0], np.full(shape, 0.01, np.float32)], attrs)
    probe_onnx("DequantizeLinear", opset, [CODES[0, :, 0, 0], np.asarray(np.float32(0.01))])


def test_the_runtime_s_own_spelling_has_more_codes_earlier() -> None:
    probe = probe_onnx("com.microsoft::QuantizeLinear", 17, [X, STEPS, zeros(np.uint16, 5)], {"axis": 1})
    (codes,) = probe.op.run(probe.call, probe.arrays)
    probe_onnx("com.microsoft::DequantizeLinear", 17, [codes, STEPS, zeros(np.uint16, 5)], {"axis": 1})


def test_a_step_for_each_index_is_cut_with_the_axis() -> None:
    for axis in (0, 3):
        codes = np.moveaxis(CODES, 1, axis)
        rule = probe_onnx("DequantizeLinear", 13, [codes, STEPS, zeros(np.int8, 5)], {"axis": axis}).rule
        data_dims, *params = rule.operands
        assert data_dims is not None
        assert all(param == (data_dims[axis],) for param in params)


def test_half_goes_to_the_even_code_and_nothing_beyond_the_last() -> None:
    halves = np.array([-200.0, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 200.0])
    probe = probe_onnx("QuantizeLinear", 13, [halves, np.asarray(np.float32(1)), np.asarray(np.int8(0))])
    assert probe.op.run(probe.call, probe.arrays)[0].tolist() == [-128, -2, -2, 0, 0, 2, 2, 127]


def test_biases_are_codes_of_32_bits() -> None:
    bias = np.array([2**31 - 1, -(2**31), 5], np.int32)
    probe_onnx("DequantizeLinear", 13, [bias, data(3, low=1e-6, high=1e-5)], {"axis": 0})


def test_the_type_that_is_asked_for_holds_where_no_zero_point_does() -> None:
    probe = probe_onnx("QuantizeLinear", 21, [X, np.asarray(np.float32(0.02))], {"output_dtype": 3})
    assert probe.op.run(probe.call, probe.arrays)[0].dtype == np.int8


@pytest.mark.parametrize(
    ("shapes", "dtypes", "attrs"),
    [
        (((4, 6), (4, 2)), ("int8", "float32"), {"axis": 1}),
        (((4, 6), (4,)), ("int8", "float32"), {"axis": 1}),
        (((4,), (4,)), ("int8", "float32"), {"axis": 1}),
        (((4, 6), ()), ("float8_e4m3fn", "float32"), {"axis": 0}),
        (((4, 6), ()), ("int4", "float32"), {"axis": 0}),
    ],
)
def test_blocks_and_narrow_codes_are_not_guessed(
    shapes: tuple[tuple[int, ...], ...], dtypes: tuple[str, ...], attrs: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedError):
        registry()["dequantize"].rule(Call(attrs, shapes, dtypes))


def test_a_step_for_every_block_is_not_guessed() -> None:
    found = registry().onnx("DequantizeLinear", 21)
    assert found is not None
    assert found[1].fix is not None
    with pytest.raises(UnsupportedError, match="every 16"):
        found[1].fix({"block": 16}, ((4, 32), (4, 2)))


def test_codes_carry_the_magnitude_of_what_they_stand_for() -> None:
    there = probe_onnx("QuantizeLinear", 13, [X, STEPS, zeros(np.int8, 5)], {"axis": 1})
    back = probe_onnx("DequantizeLinear", 13, [CODES, STEPS, zeros(np.int8, 5)], {"axis": 1})
    (coded,) = there.magnitude()
    (whole,) = back.magnitude(coded, STEPS, zeros(np.int8, 5))
    np.testing.assert_allclose(whole, np.abs(X))
    np.testing.assert_array_equal(back.magnitude(CODES, STEPS, zeros(np.int8, 5))[0], 1.0)


def test_samples_go_through_codes_one_by_one() -> None:
    probe = probe_onnx("QuantizeLinear", 13, [X, STEPS, zeros(np.int8, 5)], {"axis": 1})
    samples = np.random.default_rng(4).standard_normal((7, 1, 5, 1, 1))
    moments = probe.op.flow.moments
    step, zero = STEPS[None], zeros(np.int8, 5)[None]
    (made,) = moments(probe.op, probe.call, (samples, step, zero), Sampler())
    assert made is not None
    alone = probe.op.run(probe.call, (samples[3], STEPS, zeros(np.int8, 5)))[0]
    np.testing.assert_array_equal(made[3], alone)
    assert moments(probe.op, probe.call, (samples, None, zero), Sampler()) == (None,)
    assert moments(probe.op, probe.call, (None, step, zero), Sampler()) == (None,)
