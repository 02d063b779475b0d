"""From a user's model to a functional graph over aten operators, with the user's own parameter names."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from ...ir import Origin, UnsupportedError, UsageError, registry
from ._dropped import held, release
from ._inputs import Inputs, evaluation_mode, inputs_of
from ._modes import inert, repeatable
from ._source import first_line, raised_at, whole_traces

_ADVICE = (
    "replace Python control flow over tensor data by torch.where or torch.cond, or capture the model "
    "yourself and give the ExportedProgram"
)


def export(model: Any, example_inputs: Any = None, training: Collection[str] = ()) -> fx.GraphModule:
    """Capture ``model`` as a functional graph whose declared operators stay whole.

    Args:
        model: nn.Module, ExportedProgram (needs no inputs) or fx.GraphModule. It is captured in evaluation
            mode and left as it was.
        example_inputs: a tensor, a tuple of arguments, a dict of keyword arguments, or ``(args, kwargs)``.
        training: paths of modules that are in training mode instead.

    Returns:
        A GraphModule that shares the model's tensors under their own names; one placeholder per input leaf.

    Raises:
        UsageError: the model does not run on these inputs.
        UnsupportedError: it runs but cannot be captured; says at which line of the user's source.
    """
    if isinstance(model, ExportedProgram):
        return _lowered(model)
    if not isinstance(model, nn.Module):
        raise UsageError(f"a {type(model).__name__} is not a torch model")
    inputs = inputs_of(example_inputs)
    with evaluation_mode(model, training):
        return _in_training(model, inputs) if training else _lowered(_program(model, inputs))


def _in_training(model: nn.Module, inputs: Inputs) -> fx.GraphModule:
    """Captured without being run: training changes buffers."""
    try:
        with _quiet(), repeatable():
            return _lowered(inert(_non_strict(model, inputs)))
    except Exception as error:  # forward may want targets; torch raises dozens of types
        raise UnsupportedError(
            f"the model cannot be captured in training mode: {first_line(error)}",
            where=Origin(line=str(raised_at(error) or "")),
        ) from error


def _program(model: nn.Module, inputs: Inputs) -> ExportedProgram:
    attempts: tuple[Callable[[nn.Module, Inputs], ExportedProgram], ...] = (_non_strict, _strict, _traced)
    first: Exception | None = None
    for attempt in attempts:
        try:
            with _quiet():
                return attempt(model, inputs)
        except Exception as error:  # torch raises dozens of types here
            if first is None:
                first = error
                _check_runs(model, inputs)
    assert first is not None
    raise UnsupportedError(
        f"the model runs but cannot be captured: {first_line(first)}",
        where=Origin(line=str(raised_at(first) or "")),
        advice=_ADVICE,
    ) from first


def _non_strict(model: nn.Module, inputs: Inputs) -> ExportedProgram:
    return torch.export.export(model, inputs.args, inputs.named(), strict=False)


def _strict(model: nn.Module, inputs: Inputs) -> ExportedProgram:
    return torch.export.export(model, inputs.args, inputs.named(), strict=True)


def _traced(model: nn.Module, inputs: Inputs) -> ExportedProgram:
    return torch.export.export(fx.symbolic_trace(model), inputs.args, inputs.named(), strict=False)


def _check_runs(model: nn.Module, inputs: Inputs) -> None:
    """A model that fails by itself is the user's to mend, and no other way of capture will do better."""
    entered: list[nn.Module] = []
    try:
        with _quiet(), torch.no_grad(), _noted(entered):
            model(*inputs.args, **inputs.named())
    except Exception as error:
        names = {module: name for name, module in model.named_modules()}
        path = names.get(entered[-1], "") if entered else ""
        raise UsageError(
            f"the model fails on the example inputs: {first_line(error)}",
            where=Origin(path, str(raised_at(error) or "")),
            advice="check shapes and dtypes of the example inputs",
        ) from error


@contextmanager
def _noted(entered: list[nn.Module]) -> Iterator[None]:
    """Keep the modules whose ``forward`` has begun and not ended, outermost first."""

    def enter(module: nn.Module, _: Any) -> None:
        entered.append(module)

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        entered.pop()

    hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _lowered(program: ExportedProgram) -> fx.GraphModule:
    """Functional aten operators; views and composites that no declaration knows are decomposed."""
    with _quiet(), held(program):
        module = program.run_decompositions(_decompositions()).module()
    assert isinstance(module, fx.GraphModule)
    release(module.graph)
    # The guards compare input shapes in Python; they are no computation of the model.
    for node in [node for node in module.graph.nodes if node.op == "call_module"]:
        if not node.users:
            module.graph.erase_node(node)
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def _decompositions() -> dict[Any, Callable[..., Any]]:
    table: dict[Any, Callable[..., Any]] = torch.export.default_decompositions()
    for target in registry().aten_targets():
        overload = overload_of(target)
        if overload is not None:
            table.pop(overload, None)
    return table


def overload_of(target: str) -> Any:
    """The torch operator of a declared overload (``conv2d.default``, ``library::name.overload``), if any."""
    space, _, name = target.rpartition("::")
    packet, _, overload = name.partition(".")
    found = getattr(getattr(torch.ops, space or "aten"), packet, None)
    return getattr(found, overload, None) if found is not None and overload in found.overloads() else None


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings, logs and dumps of torch's own passes, and no fused inference kernels that hide layers."""
    logger = logging.getLogger("torch")
    level, fused = logger.level, torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(whole_traces())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        try:
            warnings.simplefilter("ignore")
            logger.setLevel(logging.CRITICAL)
            torch.backends.mha.set_fastpath_enabled(False)
            yield
        finally:
            logger.setLevel(level)
            torch.backends.mha.set_fastpath_enabled(fused)
