"""The parts of the comparisons that make rows, on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir
import pytest
import torch
from torch import nn

import prunepass as pp
from bench.compare import architectures, digits, mobilenet_accuracy, onnxsim, scaling, torch_pruning
from bench.compare._digits import Split, accuracy
from bench.compare._onnx import difference, export_onnx, outputs
from bench.compare._table import Options
from prunepass.hosts import open_model
from prunepass.passes import couple
from tests.zoo.catalog import ZOO
from tests.zoo.cifar import digits_net
from tests.zoo.parts import seeded


def split() -> Split:
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.zeros(40, dtype=torch.int64), images, torch.zeros(40, dtype=torch.int64))


def test_accuracy_is_the_share_of_right_answers() -> None:
    class First(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(10)[(torch.arange(len(x)) % 4 > 0).long()]

    assert accuracy(First(), split()) == 0.25


def test_a_curve_has_a_figure_for_each_rate_and_none_where_nothing_is_left_to_remove() -> None:
    model = seeded(digits_net)
    found = digits.curve(model, split(), "l1", True, (10, 99))
    assert found[0] is not None and 0 <= found[0] <= 1
    assert found[1] is None


def test_predictions_do_not_depend_on_the_batch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).eval()
    inputs = np.random.default_rng(0).standard_normal((7, 3, 2, 2)).astype(np.float32)
    found = [mobilenet_accuracy.predictions(model, inputs, batch) for batch in (2, 7)]
    assert np.array_equal(*found)


def test_every_architecture_has_one_row() -> None:
    names = list(architectures.networks())
    assert len(names) == len(set(names)) >= 30
    assert set(architectures._QUICK) <= set(names)


def test_an_architecture_tells_groups_costs_and_proof() -> None:
    found = architectures.pruned("gpt")
    assert "failed" not in found
    assert found["left"] <= 0.5 and found["proof"] < 1e-9 and found["groups"] > 0
    assert {"capture", "plan", "cut", "proof time"} <= set(found)


def test_a_failing_architecture_tells_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures, "_model", lambda name: ("missing.onnx", None))
    found = architectures.pruned("anything")
    assert "missing.onnx" in found["failed"] and "capture" in found


def test_reasons_are_counted_without_the_names_of_tensors() -> None:
    assert architectures._plain("model output 'linear_3'") == "model output"
    assert architectures._plain("the model's own code at net.py:33 fixes this size").endswith(
        "fixes this size"
    )
    assert ".py" not in architectures._plain("the model's own code at net.py:33 fixes this size")


@pytest.mark.parametrize("way", ["ours", "peer"])
def test_a_run_that_failed_shows_why_and_has_no_medians(way: str) -> None:
    runs = [{"seconds": True, "plan": 1.0}, {"failed": f"{way}: more than 90 s"}]
    assert torch_pruning._verdict(runs) == f"{way}: more than 90 s"
    assert torch_pruning._middle(runs) == {}
    assert torch_pruning._middle(runs[:1]) == {"seconds": 1.0, "plan": 1.0}


def test_growth_is_the_exponent_between_the_smallest_and_the_largest_network() -> None:
    rows = [
        {"network": "x", "nodes": n, "total (s)": n**1.5, "peak memory (MiB)": float(n), "failed": None}
        for n in (10, 100, 1000)
    ]
    assert "power 1.50" in scaling._growth("x", rows) and "with 1.00" in scaling._growth("x", rows)
    assert "too few" in scaling._growth("x", rows[:1])


@pytest.fixture(scope="module")
def residual_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with an addition, a concatenation and a normalisation that the exporter folds."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.a, self.b, self.c = nn.Conv2d(8, 12, 1), nn.Conv2d(12, 8, 1), nn.Conv2d(16, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.bn(self.stem(x)))
            y = torch.relu(x + self.b(torch.relu(self.a(x))))
            return self.c(torch.cat([x, y], 1))

    file = tmp_path_factory.mktemp("onnx") / "net.onnx"
    return export_onnx(seeded(Net), file, size=8)


def feeds() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)}


def test_dead_channels_are_found_by_magnitude_and_removing_them_moves_nothing(
    residual_file: Path, tmp_path: Path
) -> None:
    dead, ratios = onnxsim.with_dead_channels(residual_file, tmp_path)
    assert set(ratios.values()) == {0.5}
    pruned = tmp_path / "pruned.onnx"
    onnx_ir.save(
        pp.prune(dead, budget="channels=0.5", mode="uniform", score="l2", compensate=False).model, pruned
    )
    assert difference(outputs(pruned, feeds()), outputs(dead, feeds())) < 1e-5
    # The test can fail: in the network as it was the same cut does move the outputs.
    onnx_ir.save(
        pp.prune(residual_file, budget="channels=0.5", mode="uniform", score="l2", compensate=False).model,
        pruned,
    )
    assert difference(outputs(pruned, feeds()), outputs(residual_file, feeds())) > 1e-3


def test_groups_with_statistics_stay_alive(tmp_path: Path) -> None:
    file = export_onnx(
        seeded(lambda: nn.Sequential(nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 2))),
        tmp_path / "n.onnx",
        size=8,
    )
    _, ratios = onnxsim.with_dead_channels(file, tmp_path)
    assert set(ratios.values()) == {1.0}


def test_facts_count_pinned_channels_with_the_most_frequent_reason() -> None:
    session = open_model(*ZOO["plain"]())
    coupling = couple(session.graph)
    facts = architectures._facts(session, coupling)
    assert facts["channels"] == sum(group.size for group in coupling.prunable)
    assert facts["pinned"] > 0 and "model output" in facts["why"]


def test_options_restrict_to_names() -> None:
    assert Options().wants("anything")
    assert not Options(only=("a",)).wants("b")
