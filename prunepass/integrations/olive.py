"""A pass for Olive: ``"module_path": "prunepass.integrations.olive.PrunepassPrune"`` in a package configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._options import DEFAULTS, OPTIONS
from ..ir import BackendError

try:
    from olive.model import ONNXModelHandler
    from olive.model.utils import resolve_onnx_path
    from olive.passes import Pass
    from olive.passes.pass_config import PassConfigParam
except ImportError as error:
    raise BackendError(
        f"Olive cannot be imported: {error}", advice="install it with: pip install 'prunepass[onnx,olive]'"
    ) from error

_KINDS: Mapping[str, Any] = {
    "whole": int,
    "number": float,
    "flag": bool,
    "texts": list[str],
    "ratios": dict[str, float],
}
_TASK = ("data", "evaluate", "tune", "loss")
# A workflow says in JSON what a configuration says in TOML; Olive itself knows where models come from and go to.
_SEARCH = tuple(name for name, option in OPTIONS.items() if option.file and (option.python or name in _TASK))


def _default(name: str) -> Any:
    """The declared one; Olive keeps configurations as JSON, which has lists."""
    return list(DEFAULTS[name]) if isinstance(DEFAULTS[name], tuple) else DEFAULTS[name]


_PARAMS: dict[str, tuple[Any, Any, str]] = {
    "plan": (
        str,
        None,
        "Path of a plan to apply; nothing is searched, and the options of a search are not read.",
    ),
    **{
        name: (_KINDS.get(OPTIONS[name].form.kind, str), _default(name), OPTIONS[name].about)
        for name in _SEARCH
    },
    "plan_out": (str, None, "Also write the plan that the search finds here."),
}


class PrunepassPrune(Pass):  # type: ignore[misc] # Olive comes without types
    """Cut channels of an ONNX model, from a plan or under a budget, and prove the result."""

    @classmethod
    def _default_config(cls, accelerator_spec: Any) -> dict[str, Any]:
        return {
            name: PassConfigParam(type_=kind, default_value=default, description=text)
            for name, (kind, default, text) in _PARAMS.items()
        }

    def _run_for_config(self, model: Any, config: Any, output_model_path: str) -> Any:
        from ..hosts.onnx import save

        target = resolve_onnx_path(output_model_path, Path(model.model_path).name)
        save(_pruned(model.model_path, config), target)
        return ONNXModelHandler(model_path=target)


def _pruned(path: str, config: Any) -> Any:
    from .._prune import prune
    from ..drivers import apply, verify
    from ..hosts.onnx import load
    from ..passes import Plan, task_of

    if config.plan is not None:
        plan = Plan.load(config.plan)
        small = apply(plan, path)
        verify(load(path), small, plan)
        return small
    options = {name: getattr(config, name) for name in _SEARCH}
    task = {name: options.pop(name) for name in _TASK}
    if any(part is not None for part in task.values()):
        options["task"] = task_of(**task)
    result = prune(path, **options)
    if config.plan_out is not None:
        result.plan.save(config.plan_out)
    return result.model
