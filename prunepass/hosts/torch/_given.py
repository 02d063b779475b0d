"""The plain eager module in what a user gives, or what it is instead and what to give."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ...ir import Origin, UnsupportedError, UsageError

_SCRIPTED = "give the nn.Module that was scripted or traced; or write it with torch.onnx.export and prune the ONNX file"
_CODED = (
    "prune the float module first and quantise the result; or convert it, write it as ONNX with QuantizeLinear "
    "and DequantizeLinear, and prune that file"
)


def plain_module(model: Any) -> Any:
    """``model`` without what was wrapped around it to compile it, to run it in parallel or to average it.

    Raises:
        UnsupportedError: it, or a part of it, is no eager module that holds plain tensors.
    """
    attributes = _wrappers()
    while (name := next((attributes[kind] for kind in type(model).__mro__ if kind in attributes), "")) != "":
        model = getattr(model, name)
    if isinstance(model, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        raise UnsupportedError(
            f"a {type(model).__name__} is a TorchScript program, which nothing can be cut from",
            advice=_SCRIPTED,
        )
    for path, module in model.named_modules() if isinstance(model, nn.Module) else ():
        _refuse_module(path, module)
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            _refuse_tensor(f"{path}.{name}" if path else name, path, tensor)
    return model


def _wrappers() -> dict[type, str]:
    """Classes that wrap a module -> the attribute that holds it; without classes that were never imported."""
    found: dict[type, str] = {nn.DataParallel: "module", nn.parallel.DistributedDataParallel: "module"}
    for place, kind, name in (
        ("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"),
        ("torch.optim.swa_utils", "AveragedModel", "module"),
    ):
        wrapper = getattr(sys.modules.get(place), kind, None)
        if isinstance(wrapper, type):
            found[wrapper] = name
    return found


def _refuse_module(path: str, module: nn.Module) -> None:
    """A part of the user's module that computes with codes, or with no Python at all."""
    kind, where = str(module._get_name()), Origin(path)  # type: ignore[no-untyped-call]
    if isinstance(module, torch.jit.ScriptModule):
        what = f"a {kind} is a TorchScript program, which nothing can be cut from"
        raise UnsupportedError(what, where=where, advice=_SCRIPTED)
    if any(".quantized" in base.__module__ and _is_torch(base) for base in type(module).__mro__):
        raise UnsupportedError(f"a {kind} holds its weights as packed codes", where=where, advice=_CODED)
    if any(isinstance(module, base) for base in _quantisers()):
        what = f"the model is prepared for quantisation: a {kind} stands here"
        raise UnsupportedError(what, where=where, advice=_CODED)


def _is_torch(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "torch"


def _quantisers() -> Iterator[type]:
    """Bases of what watches or rounds values for quantisation, where any of it was imported."""
    for place, name in (
        ("torch.ao.quantization.fake_quantize", "FakeQuantizeBase"),
        ("torch.ao.quantization.observer", "ObserverBase"),
    ):
        base = getattr(sys.modules.get(place), name, None)
        if isinstance(base, type):
            yield base


def _refuse_tensor(name: str, path: str, tensor: torch.Tensor) -> None:
    """A weight of a kind that cannot be sliced as an array."""
    if is_lazy(tensor):
        raise UsageError(
            f"weight '{name}' has no shape yet",
            where=Origin(path),
            advice="run the module once on its inputs",
        )
    kind = type(tensor.data).__name__ if _is_wrapped(tensor) else str(tensor.layout)
    if kind != str(torch.strided) or tensor.is_quantized:
        kind = "codes" if tensor.is_quantized else kind.removeprefix("torch.")
        raise UnsupportedError(
            f"weight '{name}' is no plain tensor but {kind}",
            where=Origin(path),
            advice="give a module whose weights are dense tensors of numbers; quantise, shard or pack afterwards",
        )


def _is_wrapped(tensor: object) -> bool:
    """Return whether a tensor is a class around other tensors: shards, blocks of codes."""
    return bool(is_traceable_wrapper_subclass(tensor))
