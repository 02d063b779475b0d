"""ONNX models that draw at random inside."""

from __future__ import annotations

import numpy as np
import pytest

import prunepass as pp
from tests.hosts.onnx.models import build, weights

NOISE = {
    "normal": "n = RandomNormalLike<mean=0.0, scale=0.5>(r)  m = Add(r, n)",
    "uniform": "n = RandomUniformLike<low=0.5, high=1.5>(r)  m = Mul(r, n)",
    "table": "n = RandomNormal<shape=[1, 12, 1, 1]>()  m = Add(r, n)",
    "number": "n = RandomUniform<shape=[1]>()  m = Mul(r, n)",
    "seeded": "n = RandomUniform<shape=[1, 12, 1, 1], seed=3.0>()  m = Mul(r, n)",
    "coins": "p = Sigmoid(r)  n = Bernoulli(p)  m = Mul(r, n)",
    "dropout": "m = Dropout(r, ratio, on)",
}


@pytest.mark.parametrize("name", NOISE)
def test_channels_are_cut_through_noise(name: str) -> None:
    body = (
        "(float[2, 3, 6, 6] x) => (float[2, 4, 4, 4] y) { h = Conv(x, wa)  r = Relu(h) "
        + NOISE[name]
        + " y = Conv(m, wb) }"
    )
    held = {"wa": weights(12, 3, 3, 3), "wb": weights(4, 12, 1, 1, seed=1)}
    if name == "dropout":
        held |= {"ratio": np.float32(0.3), "on": np.array(True)}
    model = build(body, held)
    result = pp.prune(model, budget="macs=0.6", score="l2")
    cut = {tensor.name: list(tensor.dims) for tensor in result.model.graph.initializer}
    assert cut["wa"][0] == cut["wb"][1] < 12
    assert result.report.host is not None
    assert result.report.host.drawn == ("y",)
    kinds = [node.op_type for node in model.graph.node]
    assert [node.op_type for node in result.model.graph.node] == kinds
