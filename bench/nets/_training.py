"""One-cycle SGD in bfloat16 where the processor computes with it, resumable, the same for the same seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

Batch = Callable[[torch.Generator, int], torch.Tensor]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast; a loss is made from a step's number and a generator seeded by it."""

    steps: int
    rate: float
    decay: float = 5e-4
    seed: int = 0
    warm: float = 0.25
    save_every: int = 50


def train(model: nn.Module, loss: Batch, recipe: Recipe, checkpoint: Path) -> None:
    """Take the steps that ``checkpoint`` has not seen yet; ``loss(generator, step)`` draws its own batch."""
    optimizer = torch.optim.SGD(_groups(model, recipe.decay), recipe.rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.steps + 1, pct_start=recipe.warm
    )
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    first, began = _resume(parts, checkpoint), time.monotonic()
    model.train()
    for step in range(first, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(generator, step)
        value.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            _keep(parts, step + 1, checkpoint)
            said = time.monotonic() - began
            Console().print(f"step {step + 1}/{recipe.steps} loss {value.item():.4f} {said:.0f} s")
    model.eval()


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Vectors (shifts, scales, biases) do not decay."""
    params = list(model.parameters())
    return [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _resume(parts: dict[str, Any], checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    kept = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return int(kept["step"])


def _keep(parts: dict[str, Any], step: int, checkpoint: Path) -> None:
    partial = checkpoint.with_suffix(".part")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, partial)
    partial.replace(checkpoint)
