"""Weights, files, bytes and classes given instead of a model: each is told what it is and what to give."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import prunepass as pp
from tests.cli.tools import run

X = torch.ones(1, 6)
BUILD = "load_state_dict"


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4)).eval()


def scripted(path: Path) -> None:
    torch.jit.script(net()).save(str(path))


WRITERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "weights.pt": (
        lambda path: torch.save(net().state_dict(), path),
        "a file of torch.save is no model",
        BUILD,
    ),
    "module.bin": (lambda path: torch.save(net(), path), "a file of torch.save is no model", "torch.load"),
    "named.onnx": (lambda path: torch.save(net(), path), "a file of torch.save is no model", "torch.load"),
    "old.pth": (
        lambda path: torch.save(net().state_dict(), path, _use_new_zipfile_serialization=False),
        "a pickle is no model",
        BUILD,
    ),
    "script.ts": (scripted, "TorchScript is a program", "scripted or traced"),
    "weights.safetensors": (
        lambda path: path.write_bytes(b"\x08" + bytes(15)),
        "weights are no model",
        BUILD,
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_torch_is_told_by_its_content(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, what, advice = WRITERS[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(pp.UsageError, match=what) as caught:
        pp.prune(path)
    assert advice in caught.value.advice
    ran = run(capsys, "analyze", path)
    assert (ran.code, ran.out) == (2, "")
    assert what in ran.err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_program_is_to_be_loaded_first(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(net(), (X,)), tmp_path / "net.pt2")
    with pytest.raises(pp.UsageError, match=r"torch\.export\.load"):
        pp.prune(tmp_path / "net.pt2")


def saved() -> bytes:
    buffer = io.BytesIO()
    torch.save(net().state_dict(), buffer)
    return buffer.getvalue()


GIVEN: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a state_dict": (lambda: net().state_dict(), "of weights", BUILD),
    "a plain one": (lambda: dict(net().state_dict()), "a dict of weights", BUILD),
    "a checkpoint": (lambda: {"epoch": 3, "state": OrderedDict(net().state_dict())}, "of weights", BUILD),
    "a module in a dict": (
        lambda: {"epoch": 3, "model": net()},
        "with a module at 'model'",
        "stands at 'model'",
    ),
    "a dict": (lambda: {"a": 1}, "a dict is no model", "nn.Module"),
    "bytes of torch": (saved, "a file of torch.save", BUILD),
    "bytes of a pickle": (lambda: b"\x80\x04.", "a pickle", BUILD),
    "bytes": (lambda: b"abc", "bytes are no model", "ONNX path"),
    "a class": (lambda: nn.Linear, "the class Linear is no model", "Linear(...)"),
    "nothing": (lambda: None, "None is no model", "nn.Module"),
    "a tensor": (lambda: X, "a Tensor is not a torch model", "nn.Module"),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_what_is_no_model_is_told(kind: str) -> None:
    make, what, advice = GIVEN[kind]
    with pytest.raises(pp.UsageError, match=what) as caught:
        pp.prune(make(), X)
    assert advice in caught.value.advice
