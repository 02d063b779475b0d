"""Example inputs in the forms that users write them, and running a model on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from ...ir import Array, UsageError, VerificationError
from ._given import plain_module
from ._kept import buffers_kept
from ._lock import locked
from ._outputs import output_tensors
from ._source import first_line, raised_at

_WIDENED = {torch.bfloat16, torch.float16}


@dataclass(frozen=True)
class Inputs:
    """Arguments of one call of ``forward``."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None

    def named(self) -> dict[str, Any]:
        return dict(self.kwargs or {})


def inputs_of(example_inputs: Any) -> Inputs:
    """A tensor, a tuple or list of arguments, a dict of keyword arguments, or ``(args, kwargs)``.

    Raises:
        UsageError: there are none.
    """
    if isinstance(example_inputs, Inputs):
        return example_inputs
    if example_inputs is None:
        raise UsageError(
            "a torch model is captured by running it and needs example inputs",
            advice="give a tensor, a tuple of arguments, a dict of keyword arguments, or (args, kwargs)",
        )
    if isinstance(example_inputs, Mapping):
        return Inputs((), dict(example_inputs))
    if isinstance(example_inputs, (tuple, list)):
        if len(example_inputs) == 2 and isinstance(example_inputs[0], (tuple, list)):
            args, kwargs = example_inputs
            if isinstance(kwargs, Mapping):
                return Inputs(tuple(args), dict(kwargs))
        return Inputs(tuple(example_inputs))
    return Inputs((example_inputs,))


def to_numpy(tensor: torch.Tensor) -> Array:
    """The data of ``tensor``; types that numpy lacks, and half precision, as float32.

    Raises:
        UsageError: it has none, on device meta or under a fake mode.
    """
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        raise UsageError(
            "the model holds shapes without data (device meta), so there is nothing to score or to prove",
            advice="load its weights: module.to_empty(device='cpu') and load_state_dict, or assign=True",
        )
    plain = tensor.detach().cpu()
    result: Array = (plain.float() if plain.dtype in _WIDENED else plain).numpy()
    return result


def tensors_of(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Parameters, buffers and plain tensor attributes by full name; shared ones under every name."""
    found: dict[str, torch.Tensor] = dict(module.named_parameters(remove_duplicate=False))
    found.update(module.named_buffers(remove_duplicate=False))
    for path, owner in module.named_modules(remove_duplicate=False):
        for name, value in vars(owner).items():
            if isinstance(value, torch.Tensor):
                found.setdefault(f"{path}.{name}" if path else name, value)
    return list(found.items())


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def evaluation_mode(model: Any, training: Collection[str] = ()) -> Iterator[None]:
    """Every module in evaluation mode, but those at the paths ``training``; the user's flags back afterwards.

    The flags are set one by one: ``eval`` may be overridden, and exported modules refuse it.
    """
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    flags = {path: module.training for path, module in modules.items()}
    try:
        for path, module in modules.items():
            module.training = path in training
        yield
    finally:
        for path, module in modules.items():
            module.training = flags[path]


@locked
def run(model: Any, example_inputs: Any) -> list[Array]:
    """All tensor outputs of ``model`` in order, in its own precision, in evaluation mode, no gradients.

    Raises:
        UsageError: it is no torch model. VerificationError: it fails on these inputs.
    """
    inputs = inputs_of(example_inputs)
    plain = plain_module(model)
    module = plain.module() if isinstance(plain, torch.export.ExportedProgram) else plain
    if not isinstance(module, nn.Module):
        raise UsageError(f"a {type(module).__name__} is no torch model", advice="give the pruned module")
    try:
        with (
            evaluation_mode(module),
            buffers_kept(module),
            torch.no_grad(),
            torch.compiler.set_stance("force_eager"),
        ):
            made = module(*inputs.args, **inputs.named())
    except Exception as error:  # the user's own code raises whatever it likes
        what = f"the model fails on the example inputs: {first_line(error)}"
        raise VerificationError(what, where=str(raised_at(error) or type(module).__name__)) from error
    return [to_numpy(leaf) for leaf in output_tensors(made)]


def input_leaves(gm: fx.GraphModule, example_inputs: Any) -> dict[str, Any]:
    """Placeholder name -> leaf of the example inputs, in the order of ``gm``.

    Raises:
        UsageError: their number or keywords are not those that the model was captured with.
    """
    inputs = inputs_of(example_inputs)
    named, order = inputs.named(), _keywords(gm)
    if set(named) != set(order):
        raise UsageError(
            f"the model was captured with the keyword arguments {list(order)}, these are {list(named)}",
            advice="give the same arguments as for the capture",
        )
    leaves = pytree.tree_leaves((inputs.args, {name: named[name] for name in order}))
    names = [node.name for node in gm.graph.nodes if node.op == "placeholder"]
    if len(names) != len(leaves):
        raise UsageError(f"the model takes {len(names)} inputs, these are {len(leaves)}")
    return dict(zip(names, leaves, strict=True))


def _keywords(gm: fx.GraphModule) -> tuple[str, ...]:
    """Keyword arguments that ``gm`` was captured with, in its own order."""
    spec = getattr(gm, "_in_spec", None)
    context = spec.children()[1].context if spec is not None else None
    return tuple(context or ())


def feeds(gm: fx.GraphModule, example_inputs: Any) -> dict[str, Array]:
    """The example inputs as arrays by input name of the captured graph."""
    leaves = input_leaves(gm, example_inputs)
    return {name: to_numpy(leaf) for name, leaf in leaves.items() if isinstance(leaf, torch.Tensor)}


def refilled(gm: fx.GraphModule, example_inputs: Any, arrays: Mapping[str, Array]) -> Inputs:
    """The example inputs with ``arrays`` in place of the tensors of these names, each in its own dtype."""
    inputs = inputs_of(example_inputs)
    ordered = {name: inputs.named()[name] for name in _keywords(gm)}
    leaves = input_leaves(gm, inputs)
    _, spec = pytree.tree_flatten((inputs.args, ordered))
    filled = [_typed(leaf, arrays[name]) if name in arrays else leaf for name, leaf in leaves.items()]
    args, kwargs = pytree.tree_unflatten(filled, spec)
    return Inputs(args, kwargs)


def _typed(leaf: Any, array: Array) -> Any:
    # No ascontiguousarray: it gives a number an axis.
    made = torch.from_numpy(np.array(array, order="C"))
    return made.to(dtype=leaf.dtype, device=leaf.device) if isinstance(leaf, torch.Tensor) else made
