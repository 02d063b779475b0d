"""A module keeps no channel that the ONNX form of the same network is free to lose, and learns that in two replays."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import prunepass as pp
from prunepass.hosts import open_model
from prunepass.ir import Graph, UnsupportedError, call_of, leaves, registry
from prunepass.passes import Pipeline
from tests.hosts.torch.families import FAMILIES, Bare, bare

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the libraries need Python 3.11")

# The older exporter takes a tenth of the time; what it has no operator for goes through the newer one.
NEWER = {"gpt2", "llama", "qwen2", "phi3", "gemma"}
# Its layers are those of llama, and two exports take long.
LIKE_OTHERS = {"mistral"}
STEPS = 'couple | score{metric=l2} | select{budget="macs=0.5", mode=uniform} | cut'

Weights = dict[bytes, tuple[np.ndarray, tuple[int, ...]]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - LIKE_OTHERS))
def test_no_more_is_pinned_than_in_the_onnx_form(name: str, tmp_path: Path) -> None:
    model, inputs = bare(FAMILIES[name]).eval(), FAMILIES[name].draw()
    graphs = list(planned(model, inputs))
    assert len(graphs) <= 2, "each is one replay"
    own = pinned(graphs[-1])
    other = pinned(pp.capture(exported(model, inputs, tmp_path / "net.onnx", newer=name in NEWER)))
    # Exporters fold what is computed from weights alone (one and a weight): they hold it in the weight's place.
    either = pinned(graphs[-1], folded(graphs[-1])) | own
    common = either.keys() & other.keys()
    assert len(common) > 0.8 * len(own), "a few are folded into constants or joined"
    for key in common:
        (weight, kept), (same, free) = either[key], other[key]
        free = free if np.array_equal(weight, same) else free[::-1]  # products keep their weights transposed
        assert all(one <= two for one, two in zip(kept, free, strict=True)), f"{weight.shape}: {kept}, {free}"


def planned(model: Bare, inputs: tuple[torch.Tensor, ...]) -> Iterator[Graph]:
    """The graph with all that was learnt, plan by plan, until the module takes one."""
    session = open_model(model, inputs, form="module")
    graph, steps = session.graph, Pipeline.parse(STEPS)
    while True:
        yield graph
        try:
            session.replay(graph, steps(graph).graph, inplace=False)
            return
        except UnsupportedError as mismatch:
            constrained = session.constrain(graph, mismatch)
            assert constrained is not graph
            graph = constrained


def exported(model: Bare, inputs: tuple[torch.Tensor, ...], file: Path, *, newer: bool) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing tells of every size that it writes down
        if newer:
            torch.onnx.export(model, inputs, file, dynamo=True, verbose=False, external_data=False)
        else:
            torch.onnx.export(model, inputs, str(file), dynamo=False, opset_version=17)
    return file


def folded(graph: Graph) -> dict[str, np.ndarray]:
    """What single nodes compute from trained weights and constants, in their precision."""
    found = {}
    for node in graph.nodes:
        reads = [graph.params.get(str(name)) for name in node.inputs]
        weights = [param for param in reads if param is not None]
        if len(weights) == len(reads) and any(one.trained and one.is_float for one in weights):
            (made, *_) = registry()[node.op].run(call_of(graph, node), tuple(one.read() for one in weights))
            found[node.outputs[0]] = np.asarray(made).astype(graph.tensor(node.outputs[0]).dtype)
    return found


def pinned(graph: Graph, tensors: Mapping[str, np.ndarray] | None = None) -> Weights:
    """How many entries of each axis of a tensor are pinned; by its numbers, in any order.

    Args:
        tensors: by default the float weights.
    """
    coupling = pp.analyze(graph).coupling
    free = {group.atom for group in coupling.prunable}
    found: Weights = {}
    if tensors is None:
        tensors = {name: param.read() for name, param in graph.params.items() if param.is_float}
    for name, held in tensors.items():
        data = np.squeeze(held) if name in coupling.dims else np.zeros(0)
        if data.size < 2 or np.ptp(data) == 0:
            continue  # as good as a constant
        parts = (list(leaves(coupling.norm(dim))) for dim in coupling.dims[name] if dim.size > 1)
        kept = tuple(sum(one.size for one in row if one not in free) for row in parts)
        found[np.sort(data.ravel()).tobytes()] = data, kept
    return found
