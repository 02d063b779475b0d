from __future__ import annotations

import onnx
import pytest

from prunepass.backends import Layer
from prunepass.report import EngineView, engine_view
from prunepass.report._engine import pairs
from tests.cli import nets
from tests.report.pages import engines


def test_layers_of_the_same_kind_and_name_stand_side_by_side() -> None:
    found = [(left and left.name, right and right.name) for left, right in pairs(*engines())]
    assert found == [("conv", "conv"), (None, "reorder_7"), ("head", "head")]


def test_reorders_are_matched_without_their_made_up_names() -> None:
    first, second = (EngineView("", "", (Layer(f"reorder_{n}", "R", "reorder"),)) for n in (1, 2))
    assert all(left is not None and right is not None for left, right in pairs(first, second))


def test_the_census_counts_and_adds_up_by_kind_and_layout() -> None:
    assert engines()[1].census() == {
        ("nchwc.Conv", "blocked"): (1, 90.0),
        ("nchwc.ReorderOutput", "reorder"): (1, 5.0),
        ("Gemm", ""): (1, 10.0),
    }


def test_a_view_of_a_real_engine_has_layers_and_their_times() -> None:
    pytest.importorskip("onnxruntime")
    proto: onnx.ModelProto = nets.classifier()
    seen = engine_view(proto, name="net")
    assert seen.backend.startswith("onnxruntime ")
    assert seen.layers
    assert set(seen.times) & {layer.name for layer in seen.layers}
