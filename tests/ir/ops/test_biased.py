"""GELU with a bias inside, held to ONNX Runtime."""

from __future__ import annotations

import pytest

from prunepass.ir import Call, UnsupportedError, registry
from tests.probe import assert_bound, data, probe_onnx


@pytest.mark.parametrize("kind", ["BiasGelu", "FastGelu"])
def test_a_bias_goes_into_gelu(kind: str) -> None:
    assert_bound(probe_onnx(f"com.microsoft::{kind}", 1, [data(2, 3, 4, high=3.0), data(4, seed=1)], {}))


def test_the_fast_form_needs_no_bias() -> None:
    assert_bound(probe_onnx("com.microsoft::FastGelu", 1, [data(2, 3, 4, low=-3.0)], {}))


def test_a_bias_of_another_size_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="axis 'c' has the sizes"):
        registry()["biased_gelu"].rule(Call({}, ((2, 4), (3,))))
