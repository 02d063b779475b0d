from __future__ import annotations

import sys

import numpy as np
import pytest

from prunepass.backends._arrays import as_bits, from_bits, native
from prunepass.ir import BackendError


def test_an_array_that_is_native_already_is_not_copied() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(native(x), x)


@pytest.mark.parametrize("order", ["transposed", "reversed", "swapped"])
def test_other_orders_of_memory_become_native(order: str) -> None:
    x = np.arange(6.0).reshape(2, 3)
    given = {"transposed": x.T, "reversed": x[::-1], "swapped": x.astype(">f8")}[order]
    made = native(given)
    assert made.flags.c_contiguous
    assert made.dtype.isnative
    np.testing.assert_array_equal(made, given)


def test_a_single_number_keeps_its_shape() -> None:
    assert native(np.float32(2)).shape == ()


def test_bfloat16_passes_as_bits_and_nothing_else_does() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1, -2, 3], ml_dtypes.bfloat16)
    bits = as_bits(x)
    assert bits.dtype == np.uint16
    np.testing.assert_array_equal(from_bits(bits.view(np.float16)), x)
    halves = np.ones(2, np.float16)
    assert as_bits(halves) is halves


def test_bfloat16_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(BackendError, match="pip install ml_dtypes"):
        from_bits(np.zeros(1, np.uint16))
