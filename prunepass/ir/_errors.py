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
    """A wrong option, name, budget, plan or file name; exit code 2."""

    exit_code, rule = 2, "usage"


class ModelError(PrunepassError):
    """The model is invalid; exit code 3."""

    exit_code, rule = 3, "model"


class UnsupportedError(ModelError):
    """The model is valid but outside what is understood; exit code 3."""

    rule = "unsupported"


class GateError(PrunepassError):
    """A promise did not hold; exit code 1."""

    exit_code, rule = 1, "gate"


class BudgetError(GateError):
    """The budget cannot be met, or the pruned model is slower; exit code 1."""

    rule = "budget"


class VerificationError(GateError):
    """The pruned model does not compute what the masked one does; exit code 1."""

    rule = "proof"


class BackendError(PrunepassError):
    """An engine is not available; exit code 4."""

    exit_code, rule = 4, "backend"


class InternalError(PrunepassError):
    """A fault in this library; exit code 70."""

    exit_code, rule = 70, "internal"
