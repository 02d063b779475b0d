"""Every error a user can meet, as one tree; each says what, where and what to do.

PrunepassError
+-- UsageError            exit code 2: a wrong option, name, budget or plan
+-- ModelError            exit code 3: the model is invalid
|   +-- UnsupportedError  exit code 3: valid, but outside what is understood
+-- GateError             exit code 1: a promise did not hold
|   +-- BudgetError       the budget cannot be met
|   +-- VerificationError pruned(x) != masked(x)
+-- BackendError          exit code 4: an engine is not available
+-- InternalError         exit code 70: a fault in this library
"""

from __future__ import annotations

from typing import ClassVar

from ._origin import Origin


class PrunepassError(Exception):
    """Base of all errors of this library.

    Args:
        what: what is wrong, in one sentence.
        where: the module path, source line or ONNX node it is about.
        advice: what the user can do.
    """

    exit_code: ClassVar[int] = 70
    rule: ClassVar[str] = "internal"

    def __init__(self, what: str, *, where: Origin | str | None = None, advice: str = "") -> None:
        self.what, self.where, self.advice = what, where, advice
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if str(self.where or "") else ""
        return f"{place}{self.what}" + (f" ({self.advice})" if self.advice else "")


class UsageError(PrunepassError):
    exit_code, rule = 2, "usage"


class ModelError(PrunepassError):
    exit_code, rule = 3, "model"


class UnsupportedError(ModelError):
    rule = "unsupported"


class GateError(PrunepassError):
    exit_code, rule = 1, "gate"


class BudgetError(GateError):
    rule = "budget"


class VerificationError(GateError):
    rule = "proof"


class BackendError(PrunepassError):
    exit_code, rule = 4, "backend"


class InternalError(PrunepassError):
    exit_code, rule = 70, "internal"
