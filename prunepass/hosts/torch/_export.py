"""From a user's model to a functional graph over aten operators, with the user's own parameter names."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from ...ir import Origin, UnsupportedError, UsageError, registry
from ._dropped import held, release
from ._entered import modules_entered
from ._foreign import mark_written
from ._functional import made_functional
from ._given import plain_module
from ._inputs import Inputs, evaluation_mode, inputs_of, tensors_of
from ._kept import attributes_kept
from ._lock import locked, muted
from ._modes import inert, repeatable
from ._outputs import tensors_only
from ._source import first_line, raised_at, whole_traces
from ._trace import Trace, tracing

_ADVICE = (
    "replace Python control flow over tensor data by torch.where or torch.cond, or capture the model "
    "yourself and give the ExportedProgram"
)


@locked
def export(
    model: Any, example_inputs: Any = None, trace: Trace | None = None, training: Collection[str] = ()
) -> fx.GraphModule:
    """Capture ``model`` as a functional graph whose declared operators stay whole.

    Args:
        model: nn.Module, ExportedProgram (needs no inputs) or fx.GraphModule. It is captured in evaluation
            mode and left as it was.
        example_inputs: a tensor, a tuple of arguments, a dict of keyword arguments, or ``(args, kwargs)``.
        trace: is told what the model's code does with numbers, where it runs in the usual way of capture.
        training: paths of modules that are in training mode instead.

    Returns:
        A GraphModule that shares the model's tensors under their own names; one placeholder per input leaf.

    Raises:
        UsageError: the model does not run on these inputs.
        UnsupportedError: it runs but cannot be captured; says at which line of the user's source.
    """
    model = plain_module(model)
    if isinstance(model, ExportedProgram):
        return _lowered(model, _own_tensors(model))
    return _functional(program_of(model, example_inputs, trace, training), _own_tensors(model))


@locked
def program_of(
    model: Any, example_inputs: Any, trace: Trace | None = None, training: Collection[str] = ()
) -> ExportedProgram:
    """``model`` as torch exports it in evaluation mode; what is no tensor among its outputs is left out.

    Raises:
        UsageError, UnsupportedError: as :func:`export`.
    """
    model = plain_module(model)
    if not isinstance(model, nn.Module):
        what = f"a {type(model).__name__} is not a torch model"
        raise UsageError(what, advice="give an nn.Module, or what torch.export made of one")
    inputs = inputs_of(example_inputs)
    eager = torch.compiler.set_stance("force_eager")
    with attributes_kept(model), evaluation_mode(model, training), tensors_only(model), eager:
        return _in_training(model, inputs, trace) if training else _program(model, inputs, trace)


def _in_training(model: nn.Module, inputs: Inputs, trace: Trace | None) -> ExportedProgram:
    """Captured without being run: training changes buffers."""
    try:
        with quiet(), repeatable():
            return inert(_noting(Trace() if trace is None else trace, model, inputs))
    except Exception as error:  # forward may want targets; torch raises dozens of types
        raise UnsupportedError(
            f"the model cannot be captured in training mode: {first_line(error)}",
            where=Origin(line=str(raised_at(error) or "")),
        ) from error


def _program(model: nn.Module, inputs: Inputs, trace: Trace | None) -> ExportedProgram:
    attempts: list[Callable[[nn.Module, Inputs], ExportedProgram]] = [_non_strict, _strict, _traced]
    if trace is not None:
        attempts.insert(0, partial(_noting, trace))
    first: Exception | None = None
    for attempt in attempts:
        try:
            with quiet():
                return attempt(model, inputs)
        except UnsupportedError:
            raise
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


def _noting(trace: Trace, model: nn.Module, inputs: Inputs) -> ExportedProgram:
    with tracing(model, trace):
        return _non_strict(model, inputs)


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
        with quiet(), torch.no_grad(), modules_entered(entered):
            model(*inputs.args, **inputs.named())
    except Exception as error:
        names = {module: name for name, module in model.named_modules()}
        path = names.get(entered[-1], "") if entered else ""
        raise UsageError(
            f"the model fails on the example inputs: {first_line(error)}",
            where=Origin(path, str(raised_at(error) or "")),
            advice="check shapes and dtypes of the example inputs",
        ) from error


# What torch calls the tensors that a source writes out, where the module itself is no longer at hand.
_WRITTEN = re.compile(r"(lifted_tensor_|_tensor_constant)\d+$")


def _own_tensors(model: Any) -> set[str]:
    """Names of the tensors that are the user's own, and not written out in the source of a forward."""
    if isinstance(model, ExportedProgram):
        signature = model.graph_signature
        stated = {*signature.parameters, *signature.buffers}
        return stated | {name for name in model.constants if not _WRITTEN.search(name)}
    named = {name for name, _ in tensors_of(model)}
    if isinstance(model, fx.GraphModule):
        stored = model.state_dict().keys()
        return {name for name in named if name in stored or not _WRITTEN.search(name)}
    return named


def _functional(program: ExportedProgram, own: Collection[str]) -> fx.GraphModule:
    """As :func:`_lowered`, call by call where every call tells by itself what it becomes."""
    with quiet():
        module = program.module()
        assert isinstance(module, fx.GraphModule)
        _drop_guards(module)
        if not made_functional(module):
            return _lowered(program, own)
        module.recompile()
    mark_written(module, own)
    return module


def _lowered(program: ExportedProgram, own: Collection[str]) -> fx.GraphModule:
    """Functional aten operators; views and composites that no declaration knows are decomposed."""
    with quiet(), held(program):
        module = program.run_decompositions(_decompositions()).module()
    assert isinstance(module, fx.GraphModule)
    release(module.graph)
    _drop_guards(module)
    module.recompile()
    mark_written(module, own)
    return module


def _drop_guards(module: fx.GraphModule) -> None:
    """The guards compare input shapes in Python; they are no computation of the model."""
    for node in [node for node in module.graph.nodes if node.op == "call_module"]:
        if not node.users:
            module.graph.erase_node(node)
    module.delete_all_unused_submodules()


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
def quiet() -> Iterator[None]:
    """No warnings, logs and dumps of torch's own passes, and no fused inference kernels that hide layers."""
    logger = logging.getLogger("torch")
    level, fused = logger.level, torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(whole_traces())
        stack.enter_context(muted())
        try:
            warnings.simplefilter("ignore")
            logger.setLevel(logging.CRITICAL)
            torch.backends.mha.set_fastpath_enabled(False)
            yield
        finally:
            logger.setLevel(level)
            torch.backends.mha.set_fastpath_enabled(fused)
