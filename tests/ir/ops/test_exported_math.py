"""How users write mathematics in torch: whatever an export makes of it is declared, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import prunepass as pp
from prunepass.ir import evaluate

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: (x + 1, 2 - x, x * x, x / 3, 1 / (x + 9), -x, x // 2, x % 3, x**2, 2**x),
    "compare": lambda x: torch.where((x > 0) & (x < 1) | (x == 2), x, -x),
    "clip": lambda x: (x.clamp(-1, 1), x.clamp(min=0), x.clamp_max(0.5), x.clip(0, 6)),
    "bounds": lambda x: (torch.maximum(x, -x), torch.minimum(x, x * 2), F.threshold(x, 0.1, 20)),
    "fused": lambda x: (
        torch.addcmul(x, x, x),
        torch.addcdiv(x, x, x + 9),
        torch.lerp(x, -x, 0.3),
        torch.rsub(x, 1),
    ),
    "elementary": lambda x: (
        x.exp(),
        x.abs().log1p(),
        x.abs().sqrt(),
        (x + 9).rsqrt(),
        x.sin(),
        x.erf(),
        x.tanh(),
    ),
    "activations": lambda x: (
        F.relu(x),
        F.gelu(x),
        F.silu(x),
        F.mish(x),
        F.elu(x),
        F.selu(x),
        F.celu(x),
        F.relu6(x),
    ),
    "hard": lambda x: (F.hardswish(x), F.hardsigmoid(x), F.hardtanh(x), F.hardshrink(x), F.softshrink(x)),
    "soft": lambda x: (F.softplus(x), F.softsign(x), F.tanhshrink(x), F.logsigmoid(x), F.leaky_relu(x)),
    "gated": lambda x: (F.glu(x, 1), x * torch.sigmoid(x), F.rrelu(x, training=False)),
    "max_pool": lambda x: (
        F.max_pool2d(x, 2),
        F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        F.max_pool1d(x[0], 2),
    ),
    "avg_pool": lambda x: (F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1, True, False), F.avg_pool1d(x[0], 2)),
    "lp_pool": lambda x: F.lp_pool2d(x, 2, 2),
    "adaptive": lambda x: (
        F.adaptive_avg_pool2d(x, 1),
        F.adaptive_avg_pool2d(x, (3, 2)),
        F.adaptive_max_pool2d(x, 2),
    ),
    "area": lambda x: F.interpolate(x, size=(3, 2), mode="area"),
    "means": lambda x: (x.mean((2, 3)), x.mean(), x.mean(1, keepdim=True), x.sum(1), x.sum(), x.prod(1)),
    "extremes": lambda x: (
        x.amax((2, 3)),
        x.max(1, keepdim=True)[0],
        x.min(),
        x.argmax(1),
        x.aminmax(dim=1)[0],
    ),
    "spread": lambda x: (
        x.var(1),
        x.std((2, 3), correction=0),
        *torch.var_mean(x, 1),
        x.norm(dim=1),
        x.norm(1),
    ),
    "logic": lambda x: ((x > 0).any(1), (x > 0).all(), torch.logical_and(x > 0, x < 1), torch.isfinite(x)),
    "logs": lambda x: (x.logsumexp(1), F.softmax(x, 1), F.log_softmax(x, -1), F.softmin(x, 1)),
    "normalize": lambda x: (F.normalize(x), F.normalize(x, 1, 2), F.cosine_similarity(x, x + 1)),
    "norms": lambda x: (
        F.layer_norm(x, (4, 4)),
        F.group_norm(x, 3),
        F.instance_norm(x),
        F.local_response_norm(x, 3),
    ),
    "products": lambda x: (x @ x, torch.bmm(x[0], x[1]), F.linear(x, W), torch.einsum("bchw,dw->bchd", x, W)),
    "matrix": lambda x: (
        torch.mm(x[0, 0], W),
        torch.addmm(W, W, W),
        torch.baddbmm(x[0], x[0], x[1]),
        W[0] @ W[1],
    ),
    "attention": lambda x: (
        F.scaled_dot_product_attention(x, x, x),
        F.scaled_dot_product_attention(x, x, x, scale=0.2),
    ),
    "causal": lambda x: F.scaled_dot_product_attention(
        x, x[:, :2], x[:, :2], is_causal=True, enable_gqa=True
    ),
    "resize": lambda x: (F.interpolate(x, scale_factor=2), F.interpolate(x, size=(3, 5), mode="bilinear")),
    "resize_more": lambda x: (
        F.interpolate(x, scale_factor=1.5, mode="bicubic", align_corners=True),
        F.interpolate(x, size=(2, 3), mode="bilinear", antialias=True),
        F.interpolate(x, scale_factor=2, mode="nearest-exact"),
        F.interpolate(x[0], size=3, mode="linear"),
    ),
    "grids": lambda x: F.grid_sample(
        x, F.affine_grid(torch.eye(2, 3).expand(2, 2, 3) * 0.7, [2, 6, 3, 3], False), align_corners=False
    ),
    "distances": lambda x: (
        F.pairwise_distance(x[0], x[1]),
        F.mse_loss(x, x + 1),
        F.cross_entropy(x[:, :, 0, 0], ONE),
    ),
}
W, ONE = torch.linspace(-1, 1, 16).reshape(4, 4), torch.tensor([1, 0])


class Applied(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


class OverSteps(nn.Module):
    """A recurrent layer over rows, from a zero state."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x[:, 0])[0]


def modules() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "conv": nn.Sequential(nn.Conv2d(6, 4, 3, padding="same"), nn.Conv2d(4, 4, 1, groups=4), nn.Dropout()),
        "conv_modes": nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect"),
        "transposed": nn.Sequential(
            nn.ConvTranspose2d(6, 4, 3, 2, 1, 1), nn.ConvTranspose2d(4, 2, 2, groups=2)
        ),
        "flat": nn.Sequential(nn.Flatten(), nn.Linear(96, 5), nn.PReLU(5), nn.BatchNorm1d(5)),
        "batch_norms": nn.Sequential(nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False), nn.SyncBatchNorm(6)),
        "batch_statistics": nn.BatchNorm2d(6, track_running_stats=False),
        "other_norms": nn.Sequential(
            nn.GroupNorm(2, 6), nn.InstanceNorm2d(6, affine=True), nn.LayerNorm(4), nn.RMSNorm(4)
        ),
        "carried_instance": nn.InstanceNorm2d(6, track_running_stats=True),
        "weight_norm": nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 1)),
        "lstm": OverSteps(nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)),
        "gru": OverSteps(nn.GRU(4, 3)),
        "rnn": OverSteps(nn.RNN(4, 3, nonlinearity="relu")),
        "heads": Attended(),
        "encoder": nn.Sequential(nn.Flatten(1, 2), nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)),
        "upsample": nn.Sequential(nn.Upsample(scale_factor=2), nn.UpsamplingBilinear2d(scale_factor=2)),
        "odd_pools": nn.Sequential(
            nn.LPPool2d(2, 2), nn.AdaptiveAvgPool2d((None, 3)), nn.AvgPool2d(2, divisor_override=3)
        ),
    }


class Attended(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        rows = x[:, 0]
        return self.heads(rows, rows, rows, need_weights=False)[0], self.heads(rows, rows, rows)[1]


@pytest.mark.parametrize("name", [*FUNCTIONS, *modules()])
def test_what_an_export_writes_is_declared_and_computes_the_same(name: str) -> None:
    model = Applied(FUNCTIONS[name]) if name in FUNCTIONS else modules()[name]
    model.eval()
    x = torch.linspace(-2, 2, 2 * 6 * 4 * 4).reshape(2, 6, 4, 4).sin()
    graph = pp.capture(model, x)
    assert [node.attrs["kind"] for node in graph.nodes if node.op == "foreign"] == []
    made = evaluate(graph, {name: x.numpy() for name in graph.inputs})
    truth = model(x)
    truth = truth if isinstance(truth, tuple | list) else (truth,)
    found = [made[out] if out in made else graph.params[out].read() for out in graph.outputs]
    for ours, theirs in zip(found, truth, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=2e-5, atol=2e-5)
