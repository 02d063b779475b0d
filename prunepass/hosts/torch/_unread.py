"""Parts of a module that its example inputs do not reach: heads that only train, what is optional, flags.

They read channels all the same when they run. Where training mode reaches them the model is captured in it as
well, and both are one graph; what is still not read is said so, and what may fit it is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from ...ir import Graph, Param, PrunepassError
from ._capture import capture_outputs
from ._export import export
from ._inputs import tensors_of
from ._join import joined
from ._modes import is_random
from ._tensors import param_over
from ._trace import Trace


def with_unread(model: nn.Module, graph: Graph, example_inputs: Any, trace: Trace, form: str) -> Graph:
    """``graph`` with what ``model`` computes in training mode, where only that reads some of its tensors.

    Modules are set to training as far as needed: those that hold what is not read, then all that hold
    modules. Layers of torch.nn stay in evaluation mode. What the code does with numbers then is added to
    ``trace``.
    """
    for attempt in (_holders, _containers):
        unread = _unread(model, graph)
        training = tuple(attempt(model, unread)) if unread else ()
        if training and training not in [run.training for run in graph.runs]:
            graph = _reached(model, graph, _Attempt(example_inputs, training, form), trace)
    return replace(graph, unread=tuple(_unread(model, graph).values()))


@dataclass(frozen=True)
class _Attempt:
    """Settings of another capture of a model."""

    inputs: Any
    training: tuple[str, ...]
    form: str


def _reached(model: nn.Module, graph: Graph, attempt: _Attempt, trace: Trace) -> Graph:
    """``graph`` joined with that in training mode if that reads more, and can be captured and compared."""
    try:
        seen = Trace()
        module = export(model, attempt.inputs, seen, attempt.training)
        if is_random(module):
            return graph
        other, _ = capture_outputs(module, form=attempt.form)
        both = joined(graph, other, [name for name, _ in tensors_of(model)], attempt.training)
    except PrunepassError:
        return graph
    if len(_unread(model, both)) >= len(_unread(model, graph)):
        return graph
    trace.add(seen)
    return both


def _unread(model: nn.Module, graph: Graph) -> dict[str, Param]:
    """Parameters and stored float buffers that could hold channels and that no node of ``graph`` reads."""
    named = dict(tensors_of(model))
    seen = {id(tensor) for name, tensor in named.items() if name in graph.params}
    found: dict[str, Param] = {}
    for name in _state(model):
        tensor = named[name]
        if id(tensor) not in seen and tensor.is_floating_point() and max(tensor.shape, default=1) > 1:
            seen.add(id(tensor))
            found[name] = param_over(name, tensor)
    return found


def _state(model: nn.Module) -> Iterator[str]:
    """Names of what the model is saved with. Other buffers can be made anew: tables, caches."""
    for path, module in model.named_modules():
        kept = module._non_persistent_buffers_set
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if name not in kept and not is_lazy(tensor):
                yield f"{path}.{name}" if path else name


def _holders(model: nn.Module, unread: dict[str, Param]) -> Iterator[str]:
    """Modules that hold unread tensors at any depth; not the layers of torch.nn that own them."""
    for path, module in model.named_modules():
        inside = [name for name in unread if not path or name.startswith(f"{path}.")]
        own = all("." not in (name[len(path) + 1 :] if path else name) for name in inside)
        if inside and not (own and _is_layer(module)):
            yield path


def _containers(model: nn.Module, unread: dict[str, Param]) -> Iterator[str]:
    """Those, and all other modules that hold modules."""
    holders = set(_holders(model, unread))
    for path, module in model.named_modules():
        if path in holders or (not _is_layer(module) and any(True for _ in module.children())):
            yield path


def _is_layer(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.")
