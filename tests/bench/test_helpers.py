"""What the comparisons share: clocks, processes of their own, stages, networks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import prunepass as pp
from bench.compare import _generated
from bench.compare._clock import Stopwatch, medians, rounded
from bench.compare._codes import quantised
from bench.compare._onnx import agrees, difference
from bench.compare._stages import plan_and_cut
from bench.compare._worker import call, isolated, peak_memory
from prunepass.hosts import open_model
from prunepass.ir import rule_of, verify_graph
from prunepass.passes import Select, couple, graph_cost
from prunepass.passes.cost._kinds import codes_read
from prunepass.passes.scores import L2
from tests.cli import nets
from tests.zoo.catalog import ZOO


def test_a_stopwatch_adds_up_a_stage_and_counts_it_also_where_it_fails() -> None:
    watch = Stopwatch()
    with watch.stage("a"):
        pass
    first = watch.seconds["a"]
    with pytest.raises(ValueError, match="nonsense"), watch.stage("a"):
        int("nonsense", base=10 if sum(range(200_000)) else 2)
    assert watch.seconds["a"] > first >= 0


def test_medians_are_taken_of_the_numbers_that_all_runs_have() -> None:
    runs = [{"a": 1.0, "b": 5, "c": "x"}, {"a": 9.0, "b": 1, "c": "y", "d": 2.0}, {"a": 2.0, "b": 4}]
    assert medians(runs) == {"a": 2.0, "b": 4.0}


def test_rounding_keeps_three_digits_and_nothing_stays_nothing() -> None:
    assert (rounded(123456.0), rounded(0.0012349), rounded(None)) == (123000.0, 0.00123, None)


def test_work_in_a_process_of_its_own_gives_its_dict() -> None:
    found = isolated("scaling:timed", limit=120, kind="residual", size=30)
    assert found["groups"] == couple(_generated.residual(30)).prunable.__len__()
    assert {"couple", "cut"} <= set(found)


def test_a_failure_in_a_process_of_its_own_is_a_result() -> None:
    assert isolated("scaling:timed", limit=120, kind="nonsense", size=3)["failed"].startswith(
        "AttributeError"
    )


def test_what_takes_too_long_is_stopped_and_says_so() -> None:
    assert isolated("scaling:timed", limit=0.01, kind="residual", size=30) == {"failed": "more than 0 s"}


def test_a_failing_call_tells_the_kind_of_error() -> None:
    found = call("scaling:timed", {"kind": "residual", "size": "many"})
    assert found["failed"].startswith("TypeError")
    assert peak_memory() > 1


@pytest.mark.parametrize("kind", ["residual", "dense"])
@pytest.mark.parametrize("nodes", [40, 200])
def test_generated_networks_have_about_the_wanted_nodes_and_are_valid(kind: str, nodes: int) -> None:
    graph = getattr(_generated, kind)(nodes)
    verify_graph(graph)
    assert nodes <= len(graph.nodes) < nodes + 12


def test_a_generated_residual_network_has_one_stream_and_two_groups_a_block() -> None:
    graph = _generated.residual(100)
    blocks = sum(node.op == "add" for node in graph.nodes)
    assert len(couple(graph).prunable) == 1 + blocks
    # The end of every block is in the stream, only what is between its convolutions is its own.
    assert couple(graph).group("stem").size == 16


def test_stages_prune_under_the_budget_and_time_what_they_did() -> None:
    model, inputs = ZOO["plain"]()
    session, watch = open_model(model, inputs), Stopwatch()
    made = plan_and_cut(session, Select("macs=0.5"), L2(), watch)
    assert graph_cost(made.small).macs <= graph_cost(session.graph).macs / 2
    assert set(watch.seconds) == {"plan", "cut"}
    assert made.plans >= 1


def test_the_difference_of_outputs_is_relative_and_infinite_where_shapes_differ() -> None:
    one = np.array([1.0, -4.0])
    assert difference([one + 0.4], [one]) == pytest.approx(0.1)
    assert math.isinf(difference([np.zeros(3)], [np.zeros(2)]))
    assert agrees(1e-6) and not agrees(0.1)


def test_a_network_in_codes_has_codes_for_all_that_its_layers_multiply(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime.quantization")
    made = quantised(Path(nets.save(tmp_path / "net.onnx")), tmp_path / "codes.onnx")
    graph = pp.capture(made)
    working = [node for node in graph.nodes if rule_of(graph, node).work]
    assert working and all(codes_read(graph, node) for node in working)
