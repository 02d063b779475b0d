"""Layers that users name by the module itself or by its class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..ir import UsageError

_ADVICE = "name layers as 'prunepass analyze' lists them"


def layer_names(model: Any, given: Sequence[Any]) -> tuple[str, ...]:
    """Names for what is named, for modules of ``model``, and for all of its modules of a class.

    Raises:
        UsageError: it has no such module with weights, or no modules at all.
    """
    found: dict[str, None] = {}
    for one in given:
        found.update(dict.fromkeys((one,) if isinstance(one, str) else _paths(model, one)))
    return tuple(found)


def _paths(model: Any, wanted: Any) -> Iterable[str]:
    what = f"the class {wanted.__name__}" if isinstance(wanted, type) else f"this {type(wanted).__name__}"
    if not hasattr(model, "named_modules"):
        raise UsageError(f"keep names {what}, but the model has no modules", advice=_ADVICE)
    paths = {
        path: module for path, module in model.named_modules(remove_duplicate=False) if _has_weights(module)
    }
    found = [
        path or "*"
        for path, module in paths.items()
        if module is wanted or (isinstance(wanted, type) and isinstance(module, wanted))
    ]
    if not found:
        raise UsageError(
            f"keep names {what}, which no layer of the model that has weights is", advice=_ADVICE
        )
    return found


def _has_weights(module: Any) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())
