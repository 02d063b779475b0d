"""Models as their owners configure them: caches beside the logits, heads and groups of heads, default options."""

from __future__ import annotations

import copy
import io
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import prunepass as pp
from prunepass.hosts.torch import _replay_module as replay
from prunepass.hosts.torch import _session as session
from prunepass.passes import masked_values
from tests.hosts.torch.families import FAMILIES

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the libraries need Python 3.11")

# The weights whose rows are the heads of queries, and those of keys, by a part of their name.
HEADS = {
    "bert": ("query", "key"),
    "deberta_v2": ("query_proj", "key_proj"),
    "gpt2": ("c_attn", "c_attn"),
    "phi3": ("qkv_proj", "qkv_proj"),
    "t5": ("SelfAttention.q", "SelfAttention.k"),
    "unet": ("to_q", "to_k"),
    "vae": (),  # one head, whose width its own code divides by
}
# What one number in the configuration cannot say, by family: widths that were one number when it was built.
SAYS = {"llama", "qwen2", "mistral", "phi3", "gemma", "t5"}
MOST_REPLAYS = 2


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def tensors(made: Any) -> list[torch.Tensor]:
    values = made.values() if hasattr(made, "values") else made
    return [value for value in values if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_is_pruned_as_it_is_configured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, replays = FAMILIES[name], list[object]()
    model: Any = family.make()
    config = copy.deepcopy(model.config)
    check = replay.check_model
    monkeypatch.setattr(replay, "check_model", lambda *given: (replays.append(given), check(*given))[1])
    inputs = dict(zip(family.inputs, family.draw(), strict=True))
    result = pp.prune(model, inputs, budget="macs=0.5", score="l2", mode="uniform")
    small: Any = result.model

    assert len(replays) <= MOST_REPLAYS
    assert type(small) is type(model)
    assert result.report.proof is not None
    for part in HEADS.get(name, ("q_proj", "k_proj")):
        # Layers that keep their weights the other way round have the heads in their columns.
        axis = 1 if name == "gpt2" else 0
        rows = [(was.shape[axis], now.shape[axis]) for was, now in pairs(model, small, part)]
        assert rows
        assert all(now < was for was, now in rows), f"{part} was not cut: {rows}"
    assert_masked(model, inputs, result)
    if "input_ids" in inputs and small.can_generate():
        made = small.generate(inputs["input_ids"][:1], max_new_tokens=3, do_sample=False)
        assert made.shape[1] > 1
    file = io.BytesIO()
    torch.save(small, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    for one, other in zip(tensors(again(**inputs)), tensors(small(**inputs)), strict=True):
        assert torch.equal(one, other)
    told = {size.place.rpartition(".")[0] for size in result.report.unchanged}
    assert (name in SAYS) <= ("config" not in told)
    assert repr(model.config) == repr(config), "the user's own configuration stays"


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma"])
def test_layers_that_are_cut_unlike_are_learnt_in_as_many_replays(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, replays = FAMILIES[name], list[object]()
    replayed = session.replayed
    monkeypatch.setattr(
        session, "replayed", lambda *given, **how: (replays.append(given), replayed(*given, **how))[1]
    )
    model, inputs = family.make(), dict(zip(family.inputs, family.draw(), strict=True))
    result = pp.prune(model, inputs, budget="macs=0.5", score="l2")
    assert len(replays) <= MOST_REPLAYS
    assert not result.plan.pins
    assert_masked(model, inputs, result)


def pairs(model: nn.Module, small: nn.Module, part: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    now = dict(small.named_parameters())
    return [(was, now[name]) for name, was in model.named_parameters() if name.endswith(f"{part}.weight")]


def assert_masked(model: nn.Module, inputs: dict[str, torch.Tensor], result: pp.Result) -> None:
    """The first output is that of the whole model with the cut channels removed from all that reads them."""
    from prunepass.hosts import open_model

    session = open_model(model, inputs)
    graph, feeds = result.plan.constrain(session.graph), session.feeds()
    assert feeds is not None
    wanted = dict(masked_values(graph, result.plan, feeds))
    made = session.run(result.model, feeds)
    name = graph.outputs[0]
    scale = float(np.max(np.abs(wanted[name])))
    np.testing.assert_allclose(made[0], wanted[name], rtol=0, atol=1e-4 * scale)
