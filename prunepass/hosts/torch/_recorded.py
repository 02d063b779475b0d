"""One run of a module, written down operator by operator: a capture without a tracer.

torch calls its operators one after the other, composites whole, before it takes them apart for its kernels; there
they are noted with their arguments. It is the run that a capture takes as well, and shows the same operators, without
the module paths and source lines that only errors need.
"""

from __future__ import annotations

import operator
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import fx, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ._export import quiet
from ._foreign import mark_written
from ._functional import made_functional
from ._inputs import evaluation_mode, inputs_of, tensors_of
from ._kept import attributes_kept, buffers_kept
from ._lock import locked
from ._outputs import output_tensors

_MODE = torch._C._TorchDispatchModeKey.PROXY


class _Unknown(Exception):  # noqa: N818 - no error: the module is captured instead
    """A tensor that no operator made."""


@locked
def recorded(model: nn.Module, example_inputs: Any, *, shapes_only: bool) -> fx.GraphModule | None:
    """``model`` as functional operators over its own tensors; None where only a capture can tell.

    It runs in evaluation mode and is left as it was.

    Args:
        shapes_only: run it on fake tensors. Otherwise all that it makes is held at once; and kernels are quick where
            torch works out in Python what they would make.
    """
    inputs = inputs_of(example_inputs)
    stance = torch.compiler.set_stance("force_eager")
    # Whatever the user's code or a fake kernel raises: a capture will say it better.
    with (
        suppress(Exception),
        attributes_kept(model),
        buffers_kept(model),
        evaluation_mode(model),
        quiet(),
        stance,
        torch.random.fork_rng([]),
    ):
        fakes = FakeTensorMode(allow_non_fake_inputs=True) if shapes_only else None
        module = _recorded(model, inputs.args, inputs.named(), fakes)
        if made_functional(module, names=False):
            mark_written(module, {name for name, _ in tensors_of(model)})
            return module
    return None


def _recorded(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], fakes: FakeTensorMode | None
) -> fx.GraphModule:
    record = _Record(model, fakes)

    def placed(leaf: Any) -> Any:
        return record.placed(leaf) if isinstance(leaf, torch.Tensor) else leaf

    given = pytree.tree_map(placed, args), pytree.tree_map(placed, kwargs)
    with fakes or nullcontext(), enable_python_dispatcher(), record:
        made = model(*given[0], **given[1])
    record.graph.output(tuple(record.node_of(leaf) for leaf in output_tensors(made)))
    return fx.GraphModule(model, record.graph)


class _Record(ProxyTorchDispatchMode):  # type: ignore[no-untyped-call] # of torch's base class
    """Notes every operator as it is called; it stands where a tracer's mode would."""

    def __init__(self, model: nn.Module, fakes: FakeTensorMode | None) -> None:
        # Nothing of the tracer is wanted but its place.
        TorchDispatchMode.__init__(self, torch._C.DispatchKey.PreDispatch)  # type: ignore[no-untyped-call]
        self._mode_key = _MODE
        self.graph, self._fakes = fx.Graph(), fakes
        self._held: list[Any] = []
        self._nodes: dict[int, fx.Node] = {}
        self._parts: dict[int, tuple[fx.Node, int]] = {}
        self._state: dict[int, str] = {}
        for name, tensor in tensors_of(model):
            self._state.setdefault(id(tensor), name)

    def __enter__(self) -> Any:
        return TorchDispatchMode.__enter__(self)  # type: ignore[no-untyped-call]

    def __exit__(self, *raised: Any) -> Any:
        return TorchDispatchMode.__exit__(self, *raised)  # type: ignore[no-untyped-call]

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload) or torch.Tag.inplace_view in func.tags:
            raise _Unknown
        reads = self._written((args, given))
        args, given = pytree.tree_map_only(torch.Tensor, self._fake, (args, given))
        made = func(*args, **given)
        leaves = made if isinstance(made, (list, tuple)) else [made]
        if any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            node = self.graph.call_function(func, *reads)
            node.meta["val"] = made
            for place, leaf in enumerate(leaves):
                self._note(leaf, node, None if leaf is made else place)
        elif func._schema.is_mutable:
            raise _Unknown
        return made

    def placed(self, leaf: torch.Tensor) -> torch.Tensor:
        """``leaf``, or a copy of it, as an input."""
        leaf = leaf.detach().clone() if self._fakes is None else self._fakes.from_tensor(leaf)
        node = self.graph.placeholder(f"input_{len(self._held)}")
        node.meta["val"] = leaf
        self._note(leaf, node, None)
        return leaf

    def node_of(self, leaf: torch.Tensor) -> fx.Node:
        """The node that makes a tensor, as it is now."""
        known = self._nodes.get(id(leaf))
        if known is not None:
            return known
        if id(leaf) in self._parts:
            whole, place = self._parts[id(leaf)]
            node = self.graph.call_function(operator.getitem, (whole, place))
            value: Any = leaf
        elif id(leaf) in self._state:
            node, value = self.graph.get_attr(self._state[id(leaf)]), self._fake(leaf)
        else:
            raise _Unknown
        node.meta["val"] = value
        self._nodes[id(leaf)] = node
        return node

    def _fake(self, leaf: torch.Tensor) -> torch.Tensor:
        return leaf if self._fakes is None or isinstance(leaf, FakeTensor) else self._fakes.from_tensor(leaf)

    def _note(self, leaf: Any, node: fx.Node, place: int | None) -> None:
        if not isinstance(leaf, torch.Tensor):
            return
        self._held.append(leaf)  # an identity is one only while its tensor lives
        if place is None:
            self._parts.pop(id(leaf), None)
            self._nodes[id(leaf)] = node
        else:
            self._nodes.pop(id(leaf), None)
            self._parts[id(leaf)] = node, place

    def _written(self, value: Any) -> Any:
        return pytree.tree_map_only(torch.Tensor, self.node_of, value)
