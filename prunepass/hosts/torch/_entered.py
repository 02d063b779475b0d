"""The stack of modules that are running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


@contextmanager
def modules_entered(entered: list[nn.Module]) -> Iterator[None]:
    """Keep in ``entered`` the modules whose ``forward`` has begun and not ended, outermost first."""

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
