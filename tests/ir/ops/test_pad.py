"""Padding in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Fixed, Sampler, Sum
from tests.probe import Probe, data, probe_aten, probe_onnx


@pytest.mark.parametrize("pad", [[1, 2], [0, 1, 2, 0], [1, 1, 0, 0, 2, 3], [-1, 1], [0, -1, -1, 0], []])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_torch_constant_pads(pad: list[int], value: float) -> None:
    probe_aten("constant_pad_nd.default", data(2, 3, 4), pad, value)
    probe_aten("pad.default", data(2, 3, 4), pad, "constant", value)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [[1, 2], [1, 0, 2, 1]])
def test_torch_pads_that_copy(mode: str, pad: list[int]) -> None:
    rank = len(pad) // 2
    x = data(2, 3, *(4, 5)[:rank])
    probe = probe_aten("pad.default", x, pad, mode)
    if mode != "circular":
        name = {"reflect": "reflection", "replicate": "replication"}[mode]
        twin = probe_aten(f"{name}_pad{rank}d.default", x, pad)
        assert twin.call.attrs == probe.call.attrs


@pytest.mark.parametrize("opset", [7, 10])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_onnx_pads_as_attributes(opset: int, mode: str) -> None:
    attrs: dict[str, Any] = {"pads": [0, 1, 2, 0], "mode": mode}
    probe_onnx("Pad", opset, [data(3, 4)], {**attrs, "value": 2.5} if mode == "constant" else attrs)


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("opset", [11, 13, 18, 25])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_onnx_pads_as_inputs(opset: int, mode: str) -> None:
    probe_onnx("Pad", opset, [data(3, 4), whole(1, 0, 0, 2)], {"mode": mode})
    if mode == "constant":
        value = np.array(2.5, np.float32)
        assert probe_pad(opset, [data(3, 4), whole(0, 1, 1, 0), value]).call.attrs["value"] == 2.5
        probe_onnx("Pad", opset, [data(3, 4), whole(1, -1, -1, 2)])


def probe_pad(opset: int, inputs: list[Array | None]) -> Probe:
    return probe_onnx("Pad", opset, inputs)


def test_onnx_pads_name_their_axes() -> None:
    probe_pad(18, [data(3, 4, 5), whole(1, 2, 0, 3), None, whole(2, -3)])
    probe_onnx("Pad", 19, [data(3, 4), whole(1, 2), None, whole(1)], {"mode": "wrap"})


def test_a_padded_channel_axis_is_a_sum() -> None:
    """The shortcut of a plain residual net: new channels are zeros, the old ones stay free."""
    rule = probe_aten("constant_pad_nd.default", data(2, 4, 3), [0, 0, 1, 3]).rule
    padded = rule.results[0][1]
    assert isinstance(padded, Sum)
    assert [part.size for part in padded.parts] == [1, 4, 3]
    assert padded.parts[1] is rule.operands[0][1] and isinstance(padded.parts[1], Atom)  # type: ignore[index]


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_copied_and_cropped_axes_are_pinned(mode: str) -> None:
    pad = [1, 1] if mode == "reflect" else [-1, 1]
    dims = probe_aten("pad.default", data(2, 3, 4), pad, mode).rule.operands[0] or ()
    assert isinstance(dims[2], Fixed) and isinstance(dims[1], Atom)
    assert "copies or crops" in str(dims[2].pins[0])


def test_samples_meet_the_padded_constant() -> None:
    probe = probe_aten("constant_pad_nd.default", data(2, 3), [1, 0], 7.0)
    samples = np.stack([probe.arrays[0], 2 * probe.arrays[0]])  # type: ignore[list-item, operator]
    (moved,) = probe.op.flow.moments(probe.op, probe.call, (samples,), Sampler())
    assert moved is not None
    np.testing.assert_array_equal(moved, np.pad(samples, ((0, 0), (0, 0), (1, 0)), constant_values=7.0))
    assert probe.op.flow.moments(probe.op, probe.call, (None,), Sampler()) == (None,)


def test_the_magnitude_of_a_negative_constant_is_positive() -> None:
    probe = probe_aten("constant_pad_nd.default", data(2, 3), [1, 0], -7.0)
    assert probe.magnitude()[0].max() == 7.0
