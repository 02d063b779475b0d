"""Layers of a PyTorch model with their times: leaf modules, or operators of its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, TypeAlias

from ._protocol import Layer, LayerTime
from ._times import layer_times
from ._torch_tensors import runtime

Enter: TypeAlias = Callable[[str, str], AbstractContextManager[Any]]

# Names pass through C: no zero byte may divide them.
_CUT = "\x1f"
_STEP = f"prunepass.step{_CUT}"
_INFERENCE = "prunepass.inference"


def steps_of(module: Any, run: Callable[[], object]) -> tuple[Layer, ...]:
    """The steps that ``run`` does in ``module``, in order of execution."""
    seen: list[Layer] = []

    def enter(name: str, kind: str) -> AbstractContextManager[Any]:
        seen.append(Layer(name, kind, nodes=(name,)))
        return nullcontext()

    with _marked(module, enter):
        run()
    return tuple(seen)


def times_of(module: Any | None, run: Callable[[], object], runs: int) -> tuple[LayerTime, ...]:
    """Times of the steps of ``module`` in ``run``, and of what it computes outside of them, by operator.

    Device time where something ran on a GPU. The first inference is left out.

    Args:
        module: None where its steps are not its own any more (compiled): only operators are told then.
    """
    torch = runtime()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)

    def enter(name: str, kind: str) -> AbstractContextManager[Any]:
        mark: AbstractContextManager[Any] = torch.profiler.record_function(f"{_STEP}{name}{_CUT}{kind}")
        return mark

    with nullcontext() if module is None else _marked(module, enter):
        run()
        with torch.profiler.profile(activities=activities) as profile:
            for _ in range(runs):
                with torch.profiler.record_function(_INFERENCE):
                    run()
    # On a GPU each range appears once more, as a range of the device: only the host's have children.
    events = [event for event in profile.events() if event.name == _INFERENCE and event.cpu_children]
    return layer_times([_counted(event) for event in events])


def _counted(inference: Any) -> Counter[tuple[str, str]]:
    times: Counter[tuple[str, str]] = Counter()
    turns: Counter[str] = Counter()
    for said, spent in _flat(inference):
        if said.startswith(_STEP):
            _, name, kind = said.split(_CUT)
        else:
            turns[said] += 1
            name, kind = f"{said} #{turns[said]}", said
        times[name, kind] += round(spent)
    return times


def _flat(event: Any) -> Iterator[tuple[str, float]]:
    """Names and microseconds of the steps and operators directly inside of ``event``.

    Compiled code wraps the operators that it calls; what it computes itself is in the time of the wrapper.
    """
    for child in sorted(event.cpu_children, key=lambda child: child.time_range.start):
        if child.name.startswith(_STEP) or "::" in child.name or not child.cpu_children:
            yield child.name, getattr(child, "device_time_total", 0) or child.cpu_time_total
        else:
            yield child.name, getattr(child, "self_device_time_total", 0) or child.self_cpu_time_total
            yield from _flat(child)


@contextmanager
def _marked(module: Any, enter: Enter) -> Iterator[None]:
    """Have ``enter`` told of every step while the block runs."""
    fx = runtime().fx
    with ExitStack() as stack:
        if isinstance(module, fx.GraphModule):
            stack.enter_context(_marked_graph(module, enter))
        for name, part in module.named_modules():
            # The guards of an exported program check its inputs: no step of the model.
            if not any(True for _ in part.children()) and name != "_guards_fn":
                stack.enter_context(_marked_module(part, name or "module", enter))
        yield


@contextmanager
def _marked_module(module: Any, name: str, enter: Enter) -> Iterator[None]:
    running: list[ExitStack] = []

    def before(*_: Any) -> None:
        running.append(ExitStack())
        running[-1].enter_context(enter(name, type(module).__name__))

    def after(*_: Any) -> None:
        running.pop().close()

    hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _marked_graph(module: Any, enter: Enter) -> Iterator[None]:
    nodes = [node for node in module.graph.nodes if node.op == "call_function"]
    targets = [node.target for node in nodes]
    try:
        for node in nodes:
            node.target = _marked_function(node.target, node.name, enter)
        module.recompile()
        yield
    finally:
        for node, target in zip(nodes, targets, strict=True):
            node.target = target
        module.recompile()


def _marked_function(target: Any, name: str, enter: Enter) -> Callable[..., Any]:
    kind = str(target) if "." in str(target) and " " not in str(target) else target.__name__

    def step(*args: Any, **kwargs: Any) -> Any:
        with enter(name, kind):
            return target(*args, **kwargs)

    return step
