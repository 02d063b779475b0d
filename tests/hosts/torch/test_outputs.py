"""What a forward gives beside its tensors stays out of the graph, and the module goes on giving it."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import prunepass as pp
from prunepass.hosts.torch import capture, export, run
from prunepass.ir import UnsupportedError

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


class Memory:
    """Unknown to torch's pytree."""

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held


@dataclass
class Answer:
    logits: torch.Tensor
    memory: Memory
    more: tuple[torch.Tensor, ...] = ()


class Pair(NamedTuple):
    logits: torch.Tensor
    memory: Memory


class Row(list[Any]):
    """A list that torch's pytree does not open."""


# Everything but the hidden values stands twice: the logits, and a view of them.
FORMS: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "a tuple": lambda y, h: (y, Memory(h), y * 2),
    "an object first": lambda y, h: (Memory(h), y, y * 2),
    "a dict": lambda y, h: {"logits": y, "memory": Memory(h), "twice": y * 2},
    "a dataclass": lambda y, h: Answer(y, Memory(h), (y * 2,)),
    "a dataclass in a list": lambda y, h: [Answer(y, Memory(h)), y * 2],
    "a named tuple": lambda y, h: (Pair(y, Memory(h)), y * 2),
    "a mapping": lambda y, h: UserDict({"logits": y, "memory": Memory(h), "twice": y * 2}),
    "a list of its own": lambda y, h: Row([y, Memory(h), {"twice": y * 2}]),
    "a kind and a place": lambda y, h: (y, y.dtype, y.device, y * 2),
}


class Giving(nn.Module):
    """Two layers whose results come in some form; without one, as plain tensors."""

    def __init__(self, form: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form, self.a, self.b = form, nn.Linear(6, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.a(x).relu()
        y = self.b(h)
        return FORMS[self.form](y, h) if self.form else (y, y * 2)


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_is_that_of_the_tensors_alone(form: str) -> None:
    plain, found = (capture(export(model.eval(), X)) for model in (Giving(), Giving(form)))
    assert [(node.name, node.op, node.origin.path) for node in found.nodes] == [
        (node.name, node.op, node.origin.path) for node in plain.nodes
    ]
    assert (list(found.params), found.outputs, found.name) == (list(plain.params), plain.outputs, plain.name)
    assert [array.shape for array in run(Giving(form), X)] == [(3, 4), (3, 4)]


@pytest.mark.parametrize(
    ("form", "as_module"), [("a dataclass", True), ("a mapping", True), ("a tuple", False)]
)
def test_the_pruned_module_gives_all_of_it(form: str, as_module: bool) -> None:
    model = Giving(form).eval()
    result = pp.prune(model, X, budget="macs=0.6", score="l2", form="module" if as_module else "graph")
    expected = pp.apply(result.plan, Giving().eval(), X)(X)
    made = result.model(X)
    if as_module:
        assert type(made) is type(model(X))
    for got, want in zip(run(result.model, X), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(got), want.detach())
    pp.verify(model, result.model, result.plan, X)


def test_it_costs_no_second_export(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    export_once = torch.export.export

    def counted(*args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return export_once(*args, **kwargs)

    monkeypatch.setattr(torch.export, "export", counted)
    for form in ("", "a tuple", "a dataclass"):
        export(Giving(form), X)
    assert len(seen) == 3


def test_a_model_without_any_tensor_is_refused_in_words() -> None:
    class Silent(Giving):
        def forward(self, x: torch.Tensor) -> Any:
            return Memory(super().forward(x)[0])

    with pytest.raises(UnsupportedError, match="gives a Memory, in which there is no tensor"):
        export(Silent(), X)


def test_the_users_hooks_are_left_as_they_were() -> None:
    model = Giving("a tuple")
    heard: list[Any] = []
    model.register_forward_hook(lambda module, inputs, made: heard.append(type(made)))
    before = dict(model._forward_hooks)
    export(model, X)
    assert dict(model._forward_hooks) == before
    assert set(heard) == {tuple}


def test_a_causal_language_model_is_pruned_as_configured() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    size = {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=16, **size)
    ).eval()
    ids = torch.arange(6)[None]
    result = pp.prune(model, {"input_ids": ids}, budget="params=0.9", score="l2")
    assert sum(p.numel() for p in result.model.parameters()) < sum(p.numel() for p in model.parameters())
    made = result.model(ids)
    assert type(made.past_key_values).__name__ == "DynamicCache"
    assert result.model.generate(ids, max_new_tokens=3, do_sample=False).shape == (1, 9)
