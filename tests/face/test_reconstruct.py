from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import prunepass as pp


class Net(nn.Module):
    """A residual block with groups, filters of one channel, a gate, a concat, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.inside = nn.Sequential(nn.Conv2d(16, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.each = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Conv2d(8, 24, 1)
        )
        self.back = nn.Sequential(nn.Conv2d(24, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=2)
        self.head, self.map = nn.Linear(32, 5), nn.Conv2d(32, 2, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        y = self.each(self.inside(x))
        x = torch.relu(x + self.back(y * torch.sigmoid(self.gate(y))))
        x = torch.cat([x, torch.relu(self.grouped(x))], 1)
        return self.head(x.mean((2, 3))), self.map(x)


class Words(nn.Module):
    """Attention with norms of each entry, both before and after sums."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.end = nn.Linear(6, 16), nn.Linear(16, 4)
        self.norm, self.after = nn.LayerNorm(16), nn.LayerNorm(16)
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(x)
        y = self.norm(x)
        heads = [part(y).view(*y.shape[:2], 4, 4).transpose(1, 2) for part in (self.q, self.k, self.v)]
        y = nn.functional.scaled_dot_product_attention(*heads)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return self.end(self.after(x + self.down(torch.nn.functional.gelu(self.up(x)))))


def trained(kind: type[nn.Module], *shape: int) -> tuple[nn.Module, torch.Tensor]:
    """A network whose normalisations have seen its data."""
    torch.manual_seed(0)
    model, data = kind(), torch.randn(48, *shape)
    with torch.no_grad():
        for _ in range(30):
            model.train()(data)
    return model.eval(), data


def as_onnx(model: nn.Module, data: torch.Tensor) -> Any:
    import onnx

    held: Any = io.BytesIO()
    torch.onnx.export(model, (data[:1],), held, dynamo=False, opset_version=17)
    return onnx.load_from_string(held.getvalue())


NETS = [(Net, (3, 8, 8)), (Words, (5, 6))]


@pytest.mark.parametrize("host", ["torch", "onnx"])
@pytest.mark.parametrize(("kind", "shape"), NETS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_fitted_weights_are_proven_and_change_outputs_less(
    kind: type[nn.Module], shape: tuple[int, ...], host: str, tmp_path: Path
) -> None:
    model, data = trained(kind, *shape)
    given: Any = model if host == "torch" else as_onnx(model, data)
    example = (data[:1],) if host == "torch" else None
    task, held = pp.task_of(data[:40].numpy()), data[40:]
    changes = {}
    for repair in ("none", "reconstruct"):
        result = pp.prune(given, example, budget="channels=0.6", score="l2", repair=repair, task=task)
        assert result.report.proof is not None
        changes[repair] = change(model, given, result.model, held)
        assert bool(result.plan.tensors) == (repair == "reconstruct")
    assert changes["reconstruct"] < 0.8 * changes["none"]
    result.plan.save(tmp_path / "plan.json")
    plan = pp.Plan.load(tmp_path / "plan.json")
    one, two = (outputs(pp.apply(plan, given, example), held) for _ in range(2))
    for a, b, c in zip(one, two, outputs(result.model, held), strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


def change(model: nn.Module, given: Any, pruned: Any, held: torch.Tensor) -> float:
    """Of all outputs together, as a share of their variance."""
    both = list(zip(outputs(model, held), outputs(pruned, held), strict=True))
    return float(np.mean([np.mean((a - b) ** 2) / np.var(a) for a, b in both]))


def outputs(model: Any, held: torch.Tensor) -> list[Any]:
    if isinstance(model, nn.Module):
        with torch.no_grad():
            made = model(held)
        return [one.numpy() for one in (made if isinstance(made, tuple) else (made,))]
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: held[at : at + 1].numpy()}) for at in range(len(held))]
    return [np.concatenate(one) for one in zip(*parts, strict=True)]


def test_a_report_says_what_was_fitted_on_which_inputs_and_judges_on_others() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 4, 3),
    )
    x = torch.randn(2, 3, 10, 10)
    task = pp.task_of([torch.randn(2, 3, 10, 10) for _ in range(24)])
    options = {"score": "l2", "budget": "channels=0.5", "task": task}
    fitted = pp.prune(model.eval(), x, repair="reconstruct", **options).report
    assert "inputs of the user's data" in fitted.fitted
    assert fitted.change is not None
    assert '"fitted"' in fitted.to_json()
    plain = pp.prune(model.eval(), x, repair="none", **options).report
    assert plain.fitted == ""
    assert plain.change is None
    assert '"fitted"' not in plain.to_json()


def test_few_inputs_to_fit_on_are_told_of() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()
    task = pp.task_of([torch.randn(2, 3, 10, 10) for _ in range(4)])
    options = {"score": "l2", "budget": "channels=0.5", "task": task}
    report = pp.prune(model, torch.randn(2, 3, 10, 10), repair="reconstruct", **options).report
    assert "inputs to fit on are few" in report.notes()[0]
    assert "inputs to fit on are few" in report.to_json()
