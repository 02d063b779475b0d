"""The batch of a captured graph: free where the module's own code reads it, guarded where it is fixed.

A capture bakes in what ``x.shape[0]`` was. Captured again at another batch size, the numbers that depend on it
differ, and are read from the input instead. Whether that is right is told by the module itself at a third size.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from ...ir import Array, PrunepassError, UnsupportedError
from ._capture import is_same
from ._export import export
from ._foreign import tensor_attribute
from ._inputs import Inputs, inputs_of, run

_TOLERANCE = {torch.float16: 0.05, torch.bfloat16: 0.2}
_SINGLE = 1e-3
_RESHAPE = torch.ops.aten.reshape.default
_VIEWS = (_RESHAPE, torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)


def with_free_batch(gm: fx.GraphModule, model: nn.Module, example_inputs: Any) -> fx.GraphModule:
    """``gm``, captured from ``model``, so that it runs at every batch size; else it refuses other ones.

    What comes first in the first tensor, and in all that have as many there, counts as batch. Where ``model`` itself
    runs at no other batch size ``gm`` stays as it is.
    """
    inputs = inputs_of(example_inputs)
    first = next((leaf for leaf in _leaves(inputs) if leaf.ndim and leaf.shape[0]), None)
    if first is None:
        return gm
    batch = int(first.shape[0])
    other, third = (_repeated(inputs, batch, count) for count in (2, 3))
    try:
        want = _made(model, third)
    except PrunepassError:
        return gm
    if _agrees(gm, third, want, first.dtype):
        return gm
    with suppress(PrunepassError):
        freed = _freed(gm, export(model, other), batch)
        if _agrees(freed, third, want, first.dtype):
            return freed
    return _guarded(gm, batch)


def _leaves(inputs: Inputs) -> list[torch.Tensor]:
    leaves = pytree.tree_leaves((inputs.args, inputs.named()))
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _repeated(inputs: Inputs, batch: int, count: int) -> Inputs:
    """The examples several times one after the other, each time a little different."""

    def grown(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.ndim or leaf.shape[0] != batch:
            return leaf
        parts = [leaf * (1 + 0.1 * i) if leaf.is_floating_point() else leaf for i in range(count)]
        return torch.cat(parts).to(leaf.dtype)

    args, kwargs = pytree.tree_map(grown, (inputs.args, inputs.named()))
    return Inputs(args, kwargs)


def _made(model: Any, inputs: Inputs) -> list[Array]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return run(model, inputs)


def _agrees(gm: fx.GraphModule, inputs: Inputs, want: list[Array], dtype: torch.dtype) -> bool:
    """Return whether ``gm`` runs and gives what the module gives."""
    try:
        got = _made(gm, inputs)
    except PrunepassError:
        return False
    tolerance = _TOLERANCE.get(dtype, _SINGLE)
    return len(got) == len(want) and all(
        one.shape == other.shape
        and np.allclose(one, other, tolerance, tolerance * _largest(other), equal_nan=True)
        for one, other in zip(got, want, strict=True)
    )


def _largest(array: Array) -> float:
    if array.dtype.kind != "f":
        return 0.0
    return float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))


def _freed(gm: fx.GraphModule, other: fx.GraphModule, batch: int) -> fx.GraphModule:
    """A copy of ``gm`` with the numbers that differ in ``other``, of twice the batch, read from the input.

    Raises:
        UnsupportedError: something differs that is no number of entries.
    """
    result = _copy(gm)
    sizes = _Sizes(result, batch)
    nodes, twins = _computing(result), _computing(other)
    if len(nodes) != len(twins):
        raise UnsupportedError("another batch size is computed by other operations")
    for one, twin in zip(nodes, twins, strict=True):
        if one.op != twin.op or _kind(one) != _kind(twin):
            raise UnsupportedError("another batch size is computed by other operations")
        if one.op == "get_attr":
            _same_tensor(tensor_attribute(result, one), tensor_attribute(other, twin))
        merge = _Merge(sizes, one)
        one.args, one.kwargs = merge(one.args, twin.args), merge(one.kwargs, twin.kwargs)
    result.graph.lint()
    result.recompile()
    return result


def _computing(gm: fx.GraphModule) -> list[fx.Node]:
    """Nodes that are no copies: of one sample alone torch copies less."""
    return [node for node in gm.graph.nodes if node.op != "call_function" or not is_same(node)]


def _kind(node: fx.Node) -> Any:
    if node.op in ("placeholder", "get_attr"):
        return node.op
    return _RESHAPE if node.target in _VIEWS else node.target


def _copy(gm: fx.GraphModule) -> fx.GraphModule:
    """Another graph over the same tensors; views are written as reshapes, which take the strides of any batch."""
    graph = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    made = graph.graph_copy(gm.graph, values)
    graph.set_codegen(gm.graph._codegen)
    for node in graph.nodes:
        if node.target in _VIEWS:
            node.target = _RESHAPE
    end = next(node for node in reversed(gm.graph.nodes) if node.op == "output")
    graph.output(made)
    next(node for node in reversed(graph.nodes) if node.op == "output").meta.update(end.meta)
    return fx.GraphModule(gm, graph, type(gm).__name__)


def _same_tensor(one: torch.Tensor | None, twin: torch.Tensor | None) -> None:
    if one is twin or (one is not None and twin is not None and torch.equal(one, twin)):
        return
    raise UnsupportedError("a constant depends on the batch size")


class _Sizes:
    """Numbers computed from the batch, each once, behind the inputs."""

    def __init__(self, gm: fx.GraphModule, batch: int) -> None:
        self.batch = batch
        self._graph = gm.graph
        self._made: dict[tuple[int, int], fx.Node] = {}
        places = [node for node in gm.graph.nodes if node.op == "placeholder"]
        self._last = places[-1]
        self._input = next(node for node in places if _first_size(node) == batch)

    def of(self, factor: int, offset: int) -> fx.Node:
        """``factor * batch + offset``."""
        key = (factor, offset)
        if key not in self._made:
            if key == (1, 0):
                self._made[key] = self._add(torch.ops.aten.sym_size.int, (self._input, 0), self.batch)
            elif offset:
                whole = factor * self.batch
                self._made[key] = self._add(operator.add, (self.of(factor, 0), offset), whole + offset)
            else:
                self._made[key] = self._add(operator.mul, (self.of(1, 0), factor), factor * self.batch)
        return self._made[key]

    def guard(self) -> None:
        """Refuse another batch size."""
        same = self._add(operator.eq, (self.of(1, 0), self.batch), True)
        what = f"the batch is fixed at {self.batch}: the module was captured with form='graph', and its code fixes it"
        self._add(torch._assert, (same, what), None)

    def _add(self, target: Callable[..., Any], args: tuple[Any, ...], value: Any) -> fx.Node:
        with self._graph.inserting_after(self._last):
            made = self._graph.call_function(target, args)
        made.meta["val"] = value
        self._last = made
        return made


def _first_size(node: fx.Node) -> int | None:
    value = node.meta.get("val")
    return int(value.shape[0]) if isinstance(value, torch.Tensor) and value.ndim else None


class _Merge:
    """Arguments of one node, with what differs in its twin computed from the batch."""

    def __init__(self, sizes: _Sizes, node: fx.Node) -> None:
        self._sizes, self._node = sizes, node

    def __call__(self, one: Any, twin: Any) -> Any:
        if isinstance(one, fx.Node) and isinstance(twin, fx.Node):
            return one
        if isinstance(one, (tuple, list)) and isinstance(twin, (tuple, list)) and len(one) == len(twin):
            return type(one)(self(a, b) for a, b in zip(one, twin, strict=True))
        if isinstance(one, dict) and isinstance(twin, dict) and one.keys() == twin.keys():
            return {name: self(value, twin[name]) for name, value in one.items()}
        if type(one) is int and type(twin) is int and one != twin:
            factor, rest = divmod(twin - one, self._sizes.batch)
            if not rest:
                return self._sizes.of(factor, one - factor * self._sizes.batch)
        if type(one) is type(twin) and one == twin:
            return one
        raise UnsupportedError(f"'{self._node.name}' depends on the batch size")


def fix_batch(gm: fx.GraphModule) -> None:
    """Refuse other batch sizes than that of the examples in a module that :func:`with_free_batch` has freed."""
    read = next(node for node in gm.graph.nodes if node.target is torch.ops.aten.sym_size.int)
    _Sizes(gm, int(read.meta["val"])).guard()


def reads_batch(node: fx.Node) -> bool:
    """Return whether a node that reads no input is computed from a size of one."""
    waiting, seen = [node], set[fx.Node]()
    while waiting:
        for read in waiting.pop().all_input_nodes:
            if read.target is torch.ops.aten.sym_size.int:
                return True
            if read not in seen:
                seen.add(read)
                waiting.append(read)
    return False


def _guarded(gm: fx.GraphModule, batch: int) -> fx.GraphModule:
    result = _copy(gm)
    _Sizes(result, batch).guard()
    result.graph.lint()
    result.recompile()
    return result
