"""Search for the module that computes something else than the graph that its own capture gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ...ir import Array, Graph, Node, evaluate
from ._inputs import run, to_numpy
from ._mismatch import ReplayMismatch
from ._remedies import place_of, remedies

# Far beyond what rounding does to one module: the square root of what its type can tell apart.
_EPS = {"float64": 1e-8, "float32": 1e-3}
_COARSE = 0.05

_ADVICE = (
    "let the forward compute the same whether it is captured or run: torch.compiler.is_exporting, memos and "
    'numbers kept outside the module are not seen; or use form="graph"'
)


def parting(
    model: nn.Module, example_inputs: Any, feeds: Mapping[str, Array], graphs: tuple[Graph, Graph], what: str
) -> ReplayMismatch | None:
    """The first module of ``model`` whose result is not what the cut graph makes there.

    Args:
        feeds: the example inputs by input name.
        graphs: before and after the cut.
        what: how the outputs differ.
    """
    before, after = graphs
    values = evaluate(after, feeds)
    made: list[tuple[str, Array]] = []
    with _noted(model, made):
        run(model, example_inputs)
    paths = [path for path, _ in made]
    last = {node.origin.path: node for node in after.nodes}
    for path, got in made:
        node = last.get(path)
        if node is not None and paths.count(path) == 1 and _differs(got, values.get(node.outputs[0])):
            return _mismatch(node, before, after, what)
    return None


def _mismatch(node: Node, before: Graph, after: Graph, what: str) -> ReplayMismatch:
    known = next((other for other in before.nodes if other.name == node.name), None)
    return ReplayMismatch(
        f"{what}; the module's own code computes something else here than what was captured of it",
        node=node.name,
        where=node.origin,
        remedies=remedies(place_of(before, after, known, None)) if known else (),
        advice=_ADVICE,
    )


@contextmanager
def _noted(model: nn.Module, made: list[tuple[str, Array]]) -> Iterator[None]:
    """Note what every module gives, in the order in which they end."""

    def note(path: str) -> Any:
        def hook(_: nn.Module, __: Any, result: Any) -> None:
            if isinstance(result, torch.Tensor):
                made.append((path, to_numpy(result).copy()))

        return hook

    hooks = [module.register_forward_hook(note(path)) for path, module in model.named_modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _differs(got: Array, want: Array | None) -> bool:
    if want is None or got.shape != want.shape or got.dtype.kind != "f":
        return False
    scale = float(np.max(np.abs(want), where=np.isfinite(want), initial=0.0))
    with np.errstate(invalid="ignore"):
        gap = float(np.max(np.abs(got - want), where=np.isfinite(want), initial=0.0))
    return not gap <= _EPS.get(got.dtype.name, _COARSE) * max(scale, 1e-30)
