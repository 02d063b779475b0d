"""The engines compute the same function."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from prunepass import backends

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
models = pytest.importorskip("torchvision.models")

EPS = 2**-23
NETS = ["resnet18", "mobilenet_v2"]
OTHERS = ["onnxruntime", "openvino"]


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real network: as a program of torch, as its ONNX file, and its exact results for one input."""
    torch.manual_seed(0)
    module = getattr(models, request.param)(num_classes=10).eval()
    x = torch.randn(2, 3, 64, 64)
    program = torch.export.export(module, (x,))
    file = tmp_path_factory.mktemp("net") / f"{request.param}.onnx"
    torch.onnx.export(program, dynamo=True, verbose=False).save(file)
    with torch.no_grad():
        exact = deepcopy(module).double()(x.double()).numpy()
    return program, file, x.numpy(), exact


def run(backend: str, model: object, x: np.ndarray) -> np.ndarray:
    with backends.get(backend).build(model) as engine:
        (made,) = engine.run({engine.inputs[0].name: x}).values()
        return made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", OTHERS)
def test_engines_agree_up_to_the_rounding_of_float32(net: Any, backend: str) -> None:
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    program, file, x, exact = net
    # How far float32 itself is from the exact result is what any other order of the same sums may differ by;
    # eight times that leaves room for transforms of convolutions (Winograd), and none for bfloat16 (2**16).
    own = run("torch", program, x)
    rounding = max(np.abs(own - exact).max(), EPS * np.abs(exact).max())
    assert np.abs(run(backend, file, x) - exact).max() <= 8 * rounding
