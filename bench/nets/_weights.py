"""Weights in half precision, read back as float32."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

FOLDER = Path(__file__).parent


def save(model: nn.Module, name: str) -> Path:
    """Write the state of ``model`` beside the recipes; counters of batches seen stay out."""
    path = FOLDER / f"{name}.safetensors"
    state = {
        key: value.detach().half().contiguous()
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }
    save_file(state, path)
    return path


def load(model: nn.Module, name: str) -> nn.Module:
    """``model`` with the committed weights, in evaluation mode."""
    state = {key: value.float() for key, value in load_file(FOLDER / f"{name}.safetensors").items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
        raise ValueError(f"{name}: weights of another network: {missing}, {unexpected}")
    return model.eval()
