"""A plan masks a model without cutting it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

import prunepass as pp
from tests.face.small import joined, made


@pytest.mark.parametrize("name", ["residual", "tied"])
def test_a_masked_module_is_the_users_own_and_gives_what_the_cut_one_gives(name: str) -> None:
    model, x = made(name)
    result = pp.prune(model, x, budget="macs=0.6", score="l2")
    masked = pp.mask(model, result.plan, x)
    assert type(masked) is type(model) and masked is not model
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert {key: value.shape for key, value in masked.state_dict().items()} == shapes
    with torch.no_grad():
        torch.testing.assert_close(masked(x), result.model(x), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(masked(x), model(x), rtol=1e-3)


def test_a_masked_onnx_model_gives_what_the_cut_one_gives() -> None:
    result = pp.prune(joined(), budget="macs=0.6", score="l2")
    masked = pp.mask(joined(), result.plan)
    assert [list(w.dims) for w in masked.graph.initializer] == [
        list(w.dims) for w in joined().graph.initializer
    ]
    x = np.random.default_rng(0).standard_normal((1, 3, 6, 6)).astype(np.float32)
    runs = [
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": x})[0]
        for m in (masked, result.model)
    ]
    np.testing.assert_allclose(*runs, rtol=1e-4, atol=1e-5)


def test_what_is_masked_is_of_the_model_that_the_plan_was_made_for() -> None:
    model, x = made("residual")
    plan = pp.Plan.of(pp.capture(model, x), {"one": [0]})
    other, words = made("tied")
    with pytest.raises(pp.UsageError, match="made for another model"):
        pp.mask(other, plan, words)
    with pytest.raises(pp.UsageError, match="is no plan"):
        pp.mask(model, {}, x)  # type: ignore[arg-type]
