"""Reads of coupled channels: zeros in front of all of them are the cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from prunepass.ir import Array, Graph, Node, Op, plain_step, walk
from prunepass.passes import couple, cut, free_outputs, plan_for
from prunepass.passes.coupling import masked_groups, read_masks, reads
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for
from tests.passes.networks import Network, random_graphs


def at_reads(graph: Graph, masks: dict[tuple[str, int], Array], feeds: dict[str, Array]) -> dict[str, Array]:
    """The uncut graph with factors in front of operands."""

    def step(graph: Graph, node: Node, op: Op, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
        given = tuple(
            array if array is None or (node.name, i) not in masks else array * masks[node.name, i]
            for i, array in enumerate(operands)
        )
        return plain_step(graph, node, op, given)

    return dict(walk(graph, feeds, step=step))


def check_masks(graph: Graph, seed: int = 0) -> int:
    """Masked at the reads of a random cut the outputs are those of the cut graph; how many groups were cut."""
    coupling, rng = couple(graph), np.random.default_rng(seed)
    sizes = {name: coupling.group(name).size for name in masked_groups(coupling)}
    remove = {n: rng.choice(size, int(rng.integers(1, size)), replace=False) for n, size in sizes.items()}
    plan = plan_for(coupling, remove)
    feeds = inputs_for(graph)
    got = at_reads(graph, read_masks(coupling, plan.kept(coupling)), feeds)
    want = dict(walk(cut(graph, plan), feeds))
    for name in graph.outputs:
        scale = np.max(np.abs(want[name]), initial=1e-30)
        np.testing.assert_allclose(got[name] / scale, want[name] / scale, atol=1e-9)
    return len(sizes)


@given(random_graphs())
@settings(max_examples=80)
def test_zeros_at_all_reads_of_a_group_are_its_cut(network: Network) -> None:
    check_masks(network.graph)


def test_every_read_of_a_stream_is_listed_once() -> None:
    coupling = couple(residual())
    found = reads(coupling)
    assert len({(read.node, read.position, read.axis) for read in found}) == len(found)
    members = {m.node for g in coupling.prunable for m in g.members if m.role == "read"}
    assert {read.node for read in found} == members
    assert all(read.exact and not read.others for read in found)
    assert all(read.dim.size == coupling.graph.values[read.value].shape[read.axis] for read in found)


def test_a_product_of_two_values_is_one_read_that_names_both() -> None:
    net = Builder(seed=1)
    left = net.linear(net.input(2, 5), 8, path="left")
    right = net.linear(net.input(2, 5), 8, path="right")
    graph = net.graph(net.add("matmul", left, net.add("permute", right, order=(1, 0)), path="product"))
    (read,) = (read for read in reads(couple(graph)) if read.node.startswith("matmul"))
    assert (read.position, read.axis, len(read.others)) == (0, 1, 1)
    assert read.others[0][1] == 0
    assert check_masks(graph) == 1


def test_a_mean_over_channels_is_a_read_that_no_zero_replaces() -> None:
    net = Builder(seed=1)
    graph = net.graph(
        net.add("mean", net.conv(net.input(2, 3, 4, 4), 8, path="a"), axes=(1,), keepdims=False)
    )
    (read,) = reads(couple(graph))
    assert not read.exact
    assert masked_groups(couple(graph)) == ()


def test_reads_do_not_depend_on_the_batch() -> None:
    small, large = (reads(couple(chain(batch=batch))) for batch in (1, 5))
    assert [(r.node, r.position, r.axis, r.groups) for r in small] == [
        (r.node, r.position, r.axis, r.groups) for r in large
    ]


def test_an_output_that_may_be_cut_is_read_by_whoever_uses_the_model() -> None:
    graph = free_outputs(chain(), ["output"])
    (read,) = (read for read in reads(couple(graph)) if not read.node)
    assert read.value in graph.outputs
    assert read.spot == read.value
    assert read.dim.size == graph.values[read.value].shape[read.axis]
