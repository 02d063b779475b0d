"""Faults that a replay could leave behind, each found by the checks that follow it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunepass.drivers._host_check import host_check
from prunepass.hosts.torch import ReplayMismatch, open_session
from prunepass.hosts.torch._check import check_model
from prunepass.ir import Array, Graph, VerificationError
from prunepass.passes import Plan, couple, cut, prove
from tests.hosts.torch import faulty
from tests.hosts.torch.faulty import FAULTS, SAMPLES, Fault, fault, first, rolled
from tests.hosts.torch.trials import random_cut, random_plan

CODE, VALUES = "code", "values"


@fault(faulty.Residual, VALUES)
def rows_of_a_weight(small: Any, whole: Any) -> None:
    rolled(small.a.weight, 0)


@fault(faulty.Residual, VALUES)
def columns_of_a_weight(small: Any, whole: Any) -> None:
    rolled(small.b.weight, 1)


@fault(faulty.Residual, VALUES)
def columns_of_the_head(small: Any, whole: Any) -> None:
    rolled(small.head.weight, 1)


@fault(faulty.Residual, VALUES)
def rows_of_a_depthwise_weight(small: Any, whole: Any) -> None:
    first(small, whole, "c", "weight")


@fault(faulty.Residual, VALUES)
def first_means_in_place_of_the_kept(small: Any, whole: Any) -> None:
    first(small, whole, "norm", "running_mean")


@fault(faulty.Residual, VALUES)
def first_variances_in_place_of_the_kept(small: Any, whole: Any) -> None:
    first(small, whole, "norm", "running_var")


@fault(faulty.Residual, VALUES)
def first_shifts_in_place_of_the_kept(small: Any, whole: Any) -> None:
    first(small, whole, "norm", "bias")


@fault(faulty.Residual, VALUES)
def first_slopes_in_place_of_the_kept(small: Any, whole: Any) -> None:
    first(small, whole, "act", "weight")


@fault(faulty.Residual, VALUES)
def a_bias_of_zeros(small: Any, whole: Any) -> None:
    small.a.bias.data.zero_()


@fault(faulty.Residual, CODE)
def a_bias_that_is_gone(small: Any, whole: Any) -> None:
    small.b.bias = None


@fault(faulty.Residual, CODE)
def uncut_statistics(small: Any, whole: Any) -> None:
    small.norm.running_var = whole.norm.running_var.clone()


@fault(faulty.Residual, CODE)
def groups_as_they_were(small: Any, whole: Any) -> None:
    small.c.groups = whole.c.groups


@fault(faulty.Residual, CODE)
def a_wider_window_of_the_same_size(small: Any, whole: Any) -> None:
    small.b.dilation, small.b.padding = (2, 2), (2, 2)


@fault(faulty.Residual, CODE)
def another_epsilon(small: Any, whole: Any) -> None:
    small.norm.eps = 2e-5


@fault(faulty.Residual, CODE)
def an_activation_that_is_gone(small: Any, whole: Any) -> None:
    small.act = nn.Identity()


@fault(faulty.Attention, CODE)
def the_scale_of_attention(small: Any, whole: Any) -> None:
    small.scale *= 1.5


@fault(faulty.Attention, CODE)
def heads_and_their_sizes_exchanged(small: Any, whole: Any) -> None:
    small.heads, small.head_dim = small.head_dim, small.heads


@fault(faulty.Attention, CODE)
def heads_as_they_were(small: Any, whole: Any) -> None:
    small.heads = whole.heads


@fault(faulty.Attention, VALUES)
def order_of_the_rows_of_the_projection(small: Any, whole: Any) -> None:
    rolled(small.qkv.weight, 0)


@fault(faulty.Attention, CODE)
def queries_and_keys_exchanged(small: Any, whole: Any) -> None:
    small.mixed = MethodType(lambda self, q, k, v: type(self).mixed(self, k, q, v), small)


@fault(faulty.Attention, CODE)
def a_normalisation_without_its_weights(small: Any, whole: Any) -> None:
    small.norm.weight = small.norm.bias = None


@fault(faulty.Multihead, CODE)
def the_number_of_heads(small: Any, whole: Any) -> None:
    small.attend.num_heads *= 2
    small.attend.head_dim //= 2


@fault(faulty.Multihead, VALUES)
def the_bias_of_the_projection(small: Any, whole: Any) -> None:
    nn.init.uniform_(small.attend.in_proj_bias)


@fault(faulty.Multihead, VALUES)
def columns_of_the_projection(small: Any, whole: Any) -> None:
    rolled(small.attend.in_proj_weight, 1)


@fault(faulty.Parts, CODE)
def sizes_of_a_split_exchanged(small: Any, whole: Any) -> None:
    small.sizes = [small.sizes[0] - 1, small.sizes[1] + 1]


@fault(faulty.Parts, CODE)
def sizes_of_a_split_as_they_were(small: Any, whole: Any) -> None:
    small.sizes = list(whole.sizes)


@fault(faulty.Parts, CODE)
def the_groups_of_a_normalisation(small: Any, whole: Any) -> None:
    small.norm.num_groups = 1


@fault(faulty.Parts, CODE)
def the_groups_of_a_shuffle(small: Any, whole: Any) -> None:
    small.groups = 2 if small.groups != 2 else 1


@fault(faulty.Parts, CODE)
def a_number_made_from_the_width_it_had(small: Any, whole: Any) -> None:
    share = small.a.out_features / whole.a.out_features

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight, self.bias) * share

    small.a.forward = MethodType(forward, small.a)


@fault(faulty.Tied, CODE)
def a_tie_that_is_gone(small: Any, whole: Any) -> None:
    small.head.weight = nn.Parameter(small.embed.weight.detach().clone())


@fault(faulty.Tied, CODE)
def a_layer_that_is_no_longer_called_twice(small: Any, whole: Any) -> None:
    small.again = copy.deepcopy(small.twice)


@fault(faulty.Tied, VALUES)
def a_table_in_another_order(small: Any, whole: Any) -> None:
    small.gain = small.gain.flip(0)


@fault(faulty.Tied, CODE)
def two_layers_of_equal_width_exchanged(small: Any, whole: Any) -> None:
    small.left.forward, small.right.forward = small.right.forward, small.left.forward


@fault(faulty.Tied, CODE)
def outputs_exchanged(small: Any, whole: Any) -> None:
    small.forward = MethodType(lambda self, idx: type(self).forward(self, idx)[::-1], small)


@fault(faulty.Tied, CODE)
def another_order_of_what_comes_in(small: Any, whole: Any) -> None:
    small.forward = MethodType(lambda self, idx: type(self).forward(self, idx.flip(0)), small)


@fault(faulty.Aside, CODE)
def columns_that_only_training_reads(small: Any, whole: Any) -> None:
    small.aside[0].weight = nn.Parameter(whole.aside[0].weight.detach().clone())


@fault(faulty.Aside, CODE)
def an_activation_that_only_training_reaches(small: Any, whole: Any) -> None:
    small.aside[1] = nn.Tanh()


@cache
def cut_one(kind: type[nn.Module]) -> tuple[Any, nn.Module, Graph, Graph, nn.Module]:
    """A session, the whole module, both graphs and the replayed module."""
    torch.manual_seed(0)
    whole = kind().eval()
    session = open_session(whole, SAMPLES[kind])
    graph = session.graph
    for _ in range(8):
        after = random_cut(graph, 4, 0.35)
        try:
            return session, whole, graph, after, session.replay(graph, after)
        except ReplayMismatch as mismatch:
            graph = session.constrain(graph, mismatch)
    raise AssertionError("no plan fits")


def finder(given: Fault) -> str:
    """Which check finds the fault: that of the code, or else that of the values; empty where none does."""
    session, whole, before, after, small = cut_one(given.kind)
    broken = copy.deepcopy(small)
    given.inject(broken, whole)
    try:
        check_model(broken, SAMPLES[given.kind], before, after)
    except ReplayMismatch:
        return CODE
    try:
        host_check(session, broken, after)
    except VerificationError:
        return VALUES
    return ""


@pytest.mark.parametrize("given", FAULTS, ids=str)
def test_a_fault_is_found(given: Fault) -> None:
    assert finder(given) == given.finds


def test_there_are_faults_of_thirty_kinds_and_none_without_one() -> None:
    assert len(FAULTS) >= 30
    for kind in SAMPLES:
        session, _, before, after, small = cut_one(kind)
        assert any(after.params[name].shape != param.shape for name, param in before.params.items()), (
            f"nothing is cut of {kind.__name__}"
        )
        check_model(copy.deepcopy(small), SAMPLES[kind], before, after)
        host_check(session, small, after)


def with_data(small: Graph, name: str, change: Callable[[Array], Array]) -> Graph:
    data = change(small.params[name].read())
    param = replace(small.params[name], shape=data.shape, source=lambda: data)
    return replace(small, params={**small.params, name: param})


def with_attribute(small: Graph, op: str, name: str, change: Callable[[Any], Any]) -> Graph:
    at = next(i for i, node in enumerate(small.nodes) if node.op == op and name in node.attrs)
    node = small.nodes[at]
    changed = replace(node, attrs={**node.attrs, name: change(node.attrs[name])})
    return replace(small, nodes=(*small.nodes[:at], changed, *small.nodes[at + 1 :]))


def reading(small: Graph, name: str, at: int, other: str) -> Graph:
    """The node ``name`` reads another operand."""
    nodes = [
        replace(node, inputs=(*node.inputs[:at], other, *node.inputs[at + 1 :]))
        if node.name == name
        else node
        for node in small.nodes
    ]
    return replace(small, nodes=tuple(nodes))


CUTS: dict[str, tuple[type[nn.Module], Callable[[Graph], Graph]]] = {
    "rows": (faulty.Residual, lambda small: with_data(small, "a.weight", lambda x: np.roll(x, 1, 0))),
    "columns": (faulty.Residual, lambda small: with_data(small, "b.weight", lambda x: np.roll(x, 1, 1))),
    "one column": (
        faulty.Residual,
        lambda small: with_data(small, "head.weight", lambda x: np.roll(x, 1, 1)),
    ),
    "depthwise": (faulty.Residual, lambda small: with_data(small, "c.weight", lambda x: np.roll(x, 1, 0))),
    "means": (faulty.Residual, lambda small: with_data(small, "norm.running_mean", lambda x: x[::-1])),
    "one bias": (faulty.Residual, lambda small: with_data(small, "b.bias", lambda x: x * (x < x.max()))),
    "slopes": (faulty.Residual, lambda small: with_data(small, "act.weight", lambda x: np.roll(x, 1))),
    "scale": (
        faulty.Attention,
        lambda small: with_attribute(small, "attention", "scale", lambda x: x * 1.01),
    ),
    "query and key": (
        faulty.Attention,
        lambda small: with_data(small, "qkv.weight", lambda x: np.roll(x, len(x) // 3, 0)),
    ),
    "split": (faulty.Parts, lambda small: with_attribute(small, "split", "sizes", lambda x: x[::-1])),
    "groups": (faulty.Parts, lambda small: with_attribute(small, "group_norm", "groups", lambda x: 2 * x)),
    "branches": (faulty.Tied, lambda small: reading(small, "linear_3", 1, "right.weight")),
    "table": (faulty.Tied, lambda small: with_data(small, "gain", lambda x: x[::-1])),
    "embedding": (faulty.Tied, lambda small: with_data(small, "embed.weight", lambda x: x[:, ::-1])),
}


@cache
def cut_graphs(kind: type[nn.Module]) -> tuple[Graph, Graph, Plan]:
    torch.manual_seed(0)
    graph = open_session(kind().eval(), SAMPLES[kind]).graph
    plan = random_plan(couple(graph), 4, 0.35)
    return graph, cut(graph, plan), plan


@pytest.mark.parametrize("name", CUTS)
def test_a_fault_of_the_cut_is_found(name: str) -> None:
    kind, break_it = CUTS[name]
    graph, small, plan = cut_graphs(kind)
    prove(graph, small, plan)
    with pytest.raises(VerificationError):
        prove(graph, break_it(small), plan)
