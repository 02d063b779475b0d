"""ONNX models for tests, written as text, and the round trip that each of them must pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir

from prunepass.hosts.onnx import capture, feeds, load, replay, run, to_proto
from prunepass.hosts.onnx._inputs import at_sizes, other_sizes
from prunepass.ir import Array, Graph, Index, evaluate, verify_graph
from prunepass.passes import couple, cut, plan_for, prove


def build(
    text: str,
    arrays: Mapping[str, Array] | None = None,
    *,
    opset: int = 17,
    ir_version: int = 10,
    more: str = "",
) -> onnx.ModelProto:
    """A model from the body of a graph in ONNX's text form; ``arrays`` become initializers."""
    head = f'<ir_version: {ir_version}, opset_import: ["" : {opset}{more}]>'
    proto = onnx.parser.parse_model(f"{head} g {text}")
    for name, array in (arrays or {}).items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return proto


def weights(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def opened(text: str, arrays: Mapping[str, Array] | None = None, **options: Any) -> ir.Model:
    return load(build(text, arrays, **options))


def close(left: Array, right: Array, tolerance: float = 1e-4) -> None:
    assert left.shape == right.shape
    scale = max(1.0, float(np.max(np.abs(right), initial=0.0)))
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance * scale)


def agrees(model: ir.Model, graph: Graph, seed: int = 0) -> None:
    """The captured graph is sound and computes what the model computes."""
    verify_graph(graph)
    given = feeds(graph, seed)
    theirs, ours = run(model, given), evaluate(graph, given, dtype="float32")
    for name in graph.outputs:
        close(ours[name] if name in ours else graph.params[name].read(), theirs[name])


def removal(graph: Graph, seed: int = 0, fraction: float = 0.34) -> dict[str, Index]:
    """Some channels of every group that may be cut."""
    rng = np.random.default_rng(seed)
    free = [group for group in couple(graph).groups if group.prunable]
    return {
        group.name: np.sort(rng.choice(group.size, max(1, int(group.size * fraction)), replace=False))
        for group in free
    }


def shrunk(graph: Graph, remove: Mapping[str, Index] | None = None) -> Graph:
    """The graph with these channels cut, proven equal to the masked one."""
    plan = plan_for(couple(graph), removal(graph) if remove is None else remove)
    small = cut(graph, plan)
    assert small is not graph, "nothing can be cut"
    prove(graph, small, plan)
    return small


def round_trip(
    model: ir.Model, examples: object = None, *, elsewhere: bool = True
) -> tuple[Graph, Graph, ir.Model]:
    """Capture, cut, replay; the result computes what the cut graph says, at other symbolic sizes as well."""
    graph = capture(model, examples)
    agrees(model, graph)
    remove = removal(graph)
    small = shrunk(graph, remove)
    pruned = replay(model, graph, small)
    onnx.checker.check_model(to_proto(pruned), full_check=True)
    given = feeds(graph)
    _same_outputs(pruned, small, given)
    found = capture(pruned, {name: graph.values[name].shape for name in graph.inputs})
    assert {node.name for node in small.nodes} <= {node.name for node in found.nodes}
    sizes = at_sizes(model, {name: graph.values[name].shape for name in graph.inputs})
    for other in other_sizes(model, sizes) if elsewhere else ():
        there = capture(model, dict(other.shapes))
        _same_outputs(pruned, shrunk(there, remove), feeds(there, 1))
    return graph, small, pruned


def _same_outputs(pruned: ir.Model, small: Graph, given: Mapping[str, Array]) -> None:
    got, want = run(pruned, given), evaluate(small, given)
    for name in small.outputs:
        close(got[name], want[name])


def initializer(model: ir.Model, name: str) -> Array:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return np.asarray(tensor.numpy())


def node_of(model: ir.Model, kind: str, at: int = 0) -> ir.Node:
    return [node for node in model.graph if node.op_type == kind][at]


def kinds(model: ir.Model) -> Sequence[str]:
    return [node.op_type for node in model.graph]
