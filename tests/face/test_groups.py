"""The groups that the literature names, through torch and through ONNX."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

import prunepass as pp  # noqa: E402
from tests.zoo.catalog import ZOO  # noqa: E402


def _groups(model: Any, inputs: Any = None) -> Counter[int]:
    found = pp.analyze(pp.capture(model, inputs)).groups
    return Counter(group.size for group in found if group.prunable)


def _through_onnx(model: Any, inputs: Any) -> Any:
    onnx = pytest.importorskip("onnx")
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        torch.onnx.export(model, arguments, file, dynamo=True, verbose=False)
    return onnx.load_from_string(file.getvalue())


def test_resnet50_has_37_groups_with_11456_channels() -> None:
    model = models.resnet50(weights=None).eval()
    groups = _groups(model, torch.randn(1, 3, 64, 64))
    assert sum(groups.values()) == 37
    assert sum(size * count for size, count in groups.items()) == 11_456


def test_a_stage_of_resnet50_is_made_and_read_where_the_paper_says() -> None:
    model = models.resnet50(weights=None).eval()
    found = pp.analyze(pp.capture(model, torch.randn(1, 3, 64, 64))).groups
    stage = next(
        g for g in found if any(m.tensor == "layer1.0.downsample.0.weight" and m.axis == 0 for m in g.members)
    )
    made = {m.tensor for m in stage.members if m.role == "produced"}
    read = {m.tensor for m in stage.members if m.role == "contracted"}
    assert made == {f"layer1.{at}.weight" for at in ("0.downsample.0", "0.conv3", "1.conv3", "2.conv3")}
    assert read == {
        f"{at}.weight"
        for at in ("layer1.1.conv1", "layer1.2.conv1", "layer2.0.conv1", "layer2.0.downsample.0")
    }


@pytest.mark.parametrize(
    ("name", "count"), [("cifar_resnet50", 37), ("cifar_resnet101", 71), ("cifar_mobilenet_v2", 26)]
)
def test_cifar_networks_have_the_groups_of_the_release(name: str, count: int) -> None:
    model, inputs = ZOO[name]()
    assert sum(_groups(model, inputs).values()) == count


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "densenet121", "convnext_tiny", "vit_b_16", "swin_t"]
)
def test_torchvision_networks_have_the_same_groups_through_onnx(name: str) -> None:
    options = {"image_size": 64} if name.startswith("vit") else {}
    model, inputs = models.get_model(name, weights=None, **options).eval(), torch.randn(1, 3, 64, 64)
    assert _groups(_through_onnx(model, inputs)) == _groups(model, inputs)


@pytest.mark.parametrize(
    "name", ["cifar_mobilenet_v2", "unet", "yolo_c2f", "squeeze_excite", "gpt", "channel_shuffle"]
)
def test_other_networks_have_the_same_groups_through_onnx(name: str) -> None:
    model, inputs = ZOO[name]()
    assert _groups(_through_onnx(model, inputs)) == _groups(model, inputs)
