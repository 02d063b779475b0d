"""Embedding tables."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Atom, Call, Fixed, Sampler
from tests.probe import data, probe_aten


@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (7, 4)])
def test_torch_embedding(shape: tuple[int, ...]) -> None:
    index = np.random.default_rng(0).integers(0, 7, shape)
    rule = probe_aten("embedding.default", data(7, 4), index).rule
    rows, width = rule.operands[0] or ()
    assert isinstance(rows, Fixed) and "looked up by index" in str(rows.pins[0])
    assert isinstance(width, Atom) and rule.results[0][-1] is width
    assert rule.results[0][:-1] == rule.operands[1]


def test_padding_rows_mean_nothing_at_inference() -> None:
    probe_aten("embedding.default", data(7, 4), np.array([1, 0]), 0, True, True)


def test_unknown_rows_have_the_largest_entry_and_the_moments_of_the_table() -> None:
    table = data(50, 3) + np.array([0.0, 4.0, 8.0])
    probe = probe_aten("embedding.default", table, np.array([[1, 2], [3, 4]]))
    call = Call({}, probe.call.shapes, probe.call.dtypes, results=probe.call.results)
    (bound,) = probe.op.flow.magnitude(probe.op, call, (np.abs(table), probe.arrays[1]))
    np.testing.assert_array_equal(bound, np.broadcast_to(np.abs(table).max(axis=0), (2, 2, 3)))
    (rows,) = probe.op.flow.moments(probe.op, call, (table[None], None), Sampler())
    assert rows is not None
    assert rows.shape[1:] == (1, 1, 3)
    np.testing.assert_allclose(rows.mean(axis=0).ravel(), table.mean(axis=0))
    np.testing.assert_allclose(rows.var(axis=0).ravel(), table.var(axis=0))
