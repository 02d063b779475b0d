"""prunepass: make trained networks smaller and really faster, provably right, without data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import backends as backends
    from . import measure as measure
    from . import passes as passes
    from . import report as report
    from ._analyze import Analysis as Analysis
    from ._analyze import analyze as analyze
    from ._analyze import capture as capture
    from ._analyze import observe as observe
    from ._prune import Result as Result
    from ._prune import prune as prune
    from .drivers import apply as apply
    from .drivers import mask as mask
    from .drivers import verify as verify
    from .ir import BackendError as BackendError
    from .ir import BudgetError as BudgetError
    from .ir import ModelError as ModelError
    from .ir import PrunepassError as PrunepassError
    from .ir import UnsupportedError as UnsupportedError
    from .ir import UsageError as UsageError
    from .ir import VerificationError as VerificationError
    from .passes import Batch as Batch
    from .passes import Observed as Observed
    from .passes import Pipeline as Pipeline
    from .passes import Plan as Plan
    from .passes import Task as Task
    from .passes import statistics as statistics
    from .passes import task_of as task_of
    from .sweeps import Sweep as Sweep
    from .sweeps import sweep as sweep
    from .targets import Target as Target
    from .targets import calibrate as calibrate

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "BackendError",
    "Batch",
    "BudgetError",
    "ModelError",
    "Observed",
    "Pipeline",
    "Plan",
    "PrunepassError",
    "Result",
    "Sweep",
    "Target",
    "Task",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
    "__version__",
    "analyze",
    "apply",
    "backends",
    "calibrate",
    "capture",
    "mask",
    "measure",
    "observe",
    "passes",
    "prune",
    "report",
    "statistics",
    "sweep",
    "task_of",
    "verify",
]

# Imported at first use, so that the command line and build scripts start at once.
_MODULES = ("backends", "measure", "passes", "report")
_HOMES = {
    "._analyze": ("Analysis", "analyze", "capture", "observe"),
    ".targets": ("Target", "calibrate"),
    "._prune": ("Result", "prune"),
    ".drivers": ("apply", "mask", "verify"),
    ".passes": ("Batch", "Observed", "Pipeline", "Plan", "Task", "statistics", "task_of"),
    ".sweeps": ("Sweep", "sweep"),
    ".ir": tuple(name for name in __all__ if name.endswith("Error")),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module 'prunepass' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
