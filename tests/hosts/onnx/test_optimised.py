"""Models as ONNX Runtime's optimiser saves them are pruned like those that it was given."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import prunepass as pp

onnxruntime = pytest.importorskip("onnxruntime")


def optimised(folder: Path) -> Path:
    layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    model = nn.Sequential(nn.Linear(16, 32), encoder, nn.Linear(32, 10)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.randn(1, 7, 16),), folder / "given.onnx", dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(folder / "given.onnx", options, providers=["CPUExecutionProvider"])
    return folder / "optimised.onnx"


def test_a_transformer_that_was_fused_keeps_its_groups(tmp_path: Path) -> None:
    file = optimised(tmp_path)
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert {"FusedMatMul", "SkipLayerNormalization"} <= kinds
    sizes = sorted(group.size for group in pp.analyze(pp.capture(file)).groups if group.prunable)
    # Heads, their sizes, the hidden layer and the stream.
    assert sizes == [4, 8, 32, 64]
    report = pp.prune(file, budget="macs=0.5", score="l2").report
    assert report.after.macs <= 0.5 * report.before.macs
