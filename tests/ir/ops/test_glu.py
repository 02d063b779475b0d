"""The gated linear unit."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Call, Sampler, UnsupportedError, atoms_of, registry
from tests.probe import data, probe_aten


@pytest.mark.parametrize("axis", [-1, 1, 0])
def test_halves_are_one_index_space(axis: int) -> None:
    probe = probe_aten("glu.default", data(2, 4, 6), axis)
    dims = probe.rule.operands[0]
    assert dims is not None
    halves = list(atoms_of(dims[axis]))
    assert halves == [] or (len(halves) == 2 and halves[0] is halves[1])


def test_an_odd_axis_has_no_halves() -> None:
    with pytest.raises(UnsupportedError, match="halves"):
        registry()["glu"].rule(Call({"axis": 0}, ((3, 2),)))


@pytest.mark.parametrize("shape", [(1, 4, 1), (1, 1, 1)])
def test_moments_are_those_of_both_halves(shape: tuple[int, ...]) -> None:
    probe = probe_aten("glu.default", data(2, 4, 6), 1)
    sample = Sampler().normal(data(*shape), np.ones(shape))
    (moments,) = probe.op.flow.moments(probe.op, probe.call, (sample,), Sampler())
    assert moments is not None
    full = np.broadcast_to(sample, (len(sample), 2, 4, 6))
    want = np.stack([probe.op.run(probe.call, (entry,))[0] for entry in full])
    np.testing.assert_allclose(np.broadcast_to(moments, want.shape), want)
