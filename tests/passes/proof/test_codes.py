"""The theorem with codes between the operators: what is quantised on the way is cut all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from prunepass.ir import Graph, Node, Param, Value, constant, evaluate, verify_graph
from prunepass.passes import couple, cut, prove
from prunepass.passes.analyses._magnitude import magnitudes
from tests.graphs import chain
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import random_networks


def with_codes(graph: Graph, seed: int, share: float = 0.5) -> Graph:
    """Some values become codes and numbers again, with one step or with one for each index of an axis."""
    rng = np.random.default_rng(seed)
    made_of = evaluate(graph, inputs_for(graph))
    nodes, values, params = list[Node](), dict(graph.values), dict(graph.params)
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(str(name), name) for name in node.inputs)))
        for name in node.outputs:
            value = graph.values[name]
            if made_of[name].dtype.kind == "f" and name not in graph.outputs and rng.random() < share:
                axis = int(rng.integers(len(value.shape))) if value.shape and rng.random() < 0.5 else None
                made, *tables = _coded(value, axis, rng)
                nodes += made
                params.update({table.name: table for table in tables if isinstance(table, Param)})
                for coded, dtype in zip(made, ("int16", value.dtype), strict=True):
                    values[coded.outputs[0]] = Value(coded.outputs[0], value.shape, dtype)
                renamed[name] = made[1].outputs[0]
    return replace(graph, nodes=tuple(nodes), values=values, params=params)


def _coded(value: Value, axis: int | None, rng: np.random.Generator) -> Iterator[list[Node] | Param]:
    shape = () if axis is None else (value.shape[axis],)
    step = constant(f"{value.name}.step", rng.uniform(1e-3, 2e-3, shape))
    zero = constant(f"{value.name}.zero", rng.integers(-9, 9, shape).astype(np.int16))
    attrs = {"axis": axis or 0}
    there, back = f"{value.name}.codes", f"{value.name}.back"
    yield [
        Node(there, "quantize", (value.name, step.name, zero.name), (there,), attrs),
        Node(back, "dequantize", (there, step.name, zero.name), (back,), attrs),
    ]
    yield step
    yield zero


def test_networks_that_compute_through_codes_are_cut_as_they_are_masked() -> None:
    cuts = 0
    for seed, network in enumerate(random_networks(70_000, 150)):
        graph = with_codes(network.graph, seed)
        verify_graph(graph)
        coupling = couple(graph)
        plan = random_cut(coupling, seed)
        small = cut(graph, plan)
        proof = prove(graph, small, plan, inputs_for(graph, seed), tolerance=1e-11)
        assert proof.values == len(graph.values), network.recipe
        cuts += bool(plan.cuts)
    assert cuts > 90


def test_codes_couple_nothing_and_name_nothing() -> None:
    for seed, network in enumerate(random_networks(71_000, 100)):
        plain, coded = couple(network.graph), couple(with_codes(network.graph, seed))
        # One step for each copy of something is a table of its own.
        named = [(group.name, group.size) for group in coded.prunable if not group.name.endswith(".codes")]
        assert named == [(group.name, group.size) for group in plain.prunable], network.recipe


def test_codes_hand_the_magnitude_of_what_they_stand_for_on() -> None:
    plain, coded = magnitudes(couple(chain())), magnitudes(couple(with_codes(chain(), 0, share=1.0)))
    for name, found in plain.items():
        np.testing.assert_allclose(coded[name], found, rtol=1e-12, err_msg=name)
