"""Replay onto the captured graph: an fx.GraphModule with smaller tensors and size arguments that fit."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map

from ...ir import Graph, Param
from ._batch import fix_batch, reads_batch
from ._check import check_module
from ._inputs import tensors_of
from ._lock import locked
from ._replay_module import resized
from ._rewrite import rewrite


@locked
def replay_graph(gm: fx.GraphModule, before: Graph, after: Graph) -> fx.GraphModule:
    """A copy of ``gm`` that computes ``after``; it shares no tensor with ``gm`` and can be trained.

    The result is captured again and must be ``after``, node by node. Views are written as reshapes, which mean
    the same and accept the strides that kernels choose for other sizes.

    Args:
        gm: the exported module that ``before`` was captured from.

    Raises:
        ReplayMismatch: the result is something else.
        UnsupportedError: a size cannot be written in torch's own operator.
    """
    result = _copied(gm)
    _write_tensors(result, before, after)
    neutral = {node.name: node for node in after.nodes}
    for node in list(result.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
        if node.name in neutral:
            wanted = neutral[node.name]
            shapes = tuple(None if name is None else after.tensor(name).shape for name in wanted.inputs)
            if wanted.op != "foreign":
                rewrite(node, wanted, shapes)
        elif (
            node.name in after.params
            and after.params[node.name].source is not before.params[node.name].source
        ):
            _write_constant(result, node, before.params[node.name], after.params[node.name])
    result.graph.lint()
    result.recompile()
    _refresh(result, frozenset(node.name for node in after.nodes if node.op == "foreign"))
    check_module(result, before, after)
    return result


def _copied(gm: fx.GraphModule) -> fx.GraphModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = copy.deepcopy(gm.graph)
        # A pickled module is traced when it is loaded, by this class; that of torch.export takes arguments.
        graph._tracer_cls = fx.Tracer
        result = fx.GraphModule(gm, graph, type(gm).__name__)
    stored = gm.state_dict().keys()
    copies: dict[int, torch.Tensor] = {}
    for name, tensor in tensors_of(result):
        _assign(result, name, copies.setdefault(id(tensor), _cloned(tensor)), persistent=name in stored)
    return result


def _cloned(tensor: torch.Tensor) -> torch.Tensor:
    new = tensor.detach().clone()
    return nn.Parameter(new, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new


def _assign(module: nn.Module, name: str, tensor: torch.Tensor, *, persistent: bool = True) -> None:
    """Put ``tensor`` at ``name``, as the same kind of state as before."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(tensor, nn.Parameter):
        setattr(owner, leaf, tensor)
    else:
        if leaf in vars(owner):
            delattr(owner, leaf)
        owner.register_buffer(leaf, tensor, persistent=persistent)


def _write_tensors(result: fx.GraphModule, before: Graph, after: Graph) -> None:
    named = tensors_of(result)
    stored = result.state_dict().keys()
    first = dict(named)
    new = {
        id(first[name]): resized(first[name], param)
        for name, param in after.params.items()
        if name in first and param.source is not before.params[name].source
    }
    for name, tensor in named:
        if id(tensor) in new:
            _assign(result, name, new[id(tensor)], persistent=name in stored)


def _write_constant(result: fx.GraphModule, node: fx.Node, whole: Param, param: Param) -> None:
    """Replace a node that computed a constant by its cut value; what follows the batch is shortened, if it can be."""
    old = node.meta["val"]
    if reads_batch(node):
        if np.array_equal(
            whole.read()[tuple(map(slice, param.shape))], param.read(), equal_nan=param.is_float
        ):
            _shorten(result, node, param)
            return
        fix_batch(result)
    name = f"_cut_{node.name}"
    tensor = torch.from_numpy(param.read().copy()).to(dtype=old.dtype, device=old.device)
    result.register_buffer(name, tensor, persistent=False)
    with result.graph.inserting_before(node):
        read = result.graph.get_attr(name)
    read.meta.update(node.meta)
    node.replace_all_uses_with(read)
    result.graph.erase_node(node)


def _shorten(result: fx.GraphModule, node: fx.Node, param: Param) -> None:
    """The first entries of what ``node`` makes, along every axis that a cut has left shorter."""
    users, made = list(node.users), node
    for axis, (size, had) in enumerate(zip(param.shape, node.meta["val"].shape, strict=True)):
        if size != had:
            with result.graph.inserting_after(made):
                shorter = result.graph.call_function(torch.ops.aten.slice.Tensor, (made, axis, 0, size))
            shorter.meta.update(node.meta)
            shorter.meta["val"] = made.meta["val"].narrow(axis, 0, size)
            made = shorter
    for user in users:
        user.replace_input_with(node, made)


class _Shapes(fx.Interpreter):
    """Runs the graph on fake tensors and notes what every node makes.

    No cut goes through what has no declaration: ``foreign`` nodes make what they made. Not all of torch's own
    operators can run on fake tensors of symbolic sizes.
    """

    def __init__(self, module: fx.GraphModule, mode: Any, foreign: frozenset[str]) -> None:
        super().__init__(module)
        self._mode, self._foreign = mode, foreign

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self._foreign and "val" in n.meta:
            n.meta["val"] = tree_map(lambda value: _fake(self._mode, value), n.meta["val"])
            return n.meta["val"]
        # Kernels written in Python are those that take symbolic sizes; torch.export traces with them.
        with self._mode, enable_python_dispatcher():
            made = super().run_node(n)
        if n.op == "get_attr" and isinstance(made, torch.Tensor):
            made = self._mode.from_tensor(made)
        if n.op != "output" and (n.op != "get_attr" or isinstance(made, torch.Tensor)):
            n.meta["val"] = made
            n.meta.pop("tensor_meta", None)
        return made


def _refresh(result: fx.GraphModule, foreign: frozenset[str]) -> None:
    """New shapes on every node, symbolic sizes included."""
    given = [node.meta.get("val") for node in result.graph.nodes if node.op == "placeholder"]
    symbolic = [value for value in given if isinstance(value, torch.Tensor) and not _is_static(value)]
    mode = symbolic[0].fake_mode if symbolic else FakeTensorMode()  # type: ignore[attr-defined]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = given if symbolic else [_fake(mode, value) for value in given]
        _Shapes(result, mode, foreign).run(*made, enable_io_processing=False)


def _is_static(value: torch.Tensor) -> bool:
    return all(isinstance(size, int) for size in value.shape)


def _fake(mode: FakeTensorMode, value: Any) -> Any:
    """The same kind of tensor in this mode."""
    if not isinstance(value, torch.Tensor) or getattr(value, "fake_mode", None) is mode:
        return value
    with mode:
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
