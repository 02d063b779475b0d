"""prunepass: make trained networks smaller and really faster, provably right, without data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import backends as backends
    from . import measure as measure
    from . import passes as passes
    from ._analyze import Analysis as Analysis
    from ._analyze import analyze as analyze
    from ._analyze import capture as capture
    from ._prune import Result as Result
    from ._prune import apply as apply
    from ._prune import prune as prune
    from ._prune import verify as verify
    from .ir import BackendError as BackendError
    from .ir import BudgetError as BudgetError
    from .ir import ModelError as ModelError
    from .ir import PrunepassError as PrunepassError
    from .ir import UnsupportedError as UnsupportedError
    from .ir import UsageError as UsageError
    from .ir import VerificationError as VerificationError
    from .passes import Pipeline as Pipeline
    from .passes import Plan as Plan

__version__ = "0.1.0"

# Imported at first use: the command line and build scripts start without numpy-heavy modules.
_HOME = {
    **dict.fromkeys(("backends", "measure", "passes"), ""),
    **dict.fromkeys(("Analysis", "analyze", "capture"), "._analyze"),
    **dict.fromkeys(("Result", "apply", "prune", "verify"), "._prune"),
    **dict.fromkeys(("Pipeline", "Plan"), ".passes"),
    **dict.fromkeys(
        (
            "BackendError",
            "BudgetError",
            "ModelError",
            "PrunepassError",
            "UnsupportedError",
            "UsageError",
            "VerificationError",
        ),
        ".ir",
    ),
}
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'prunepass' has no attribute '{name}'")
    home = _HOME[name]
    return getattr(import_module(home, __name__), name) if home else import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return __all__
