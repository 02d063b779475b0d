"""The pass that fits what is left to what the original made of calibration inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..ir import NumpyExecutor, UsageError
from ._calibrated import calibration_of
from ._calibration import Calibration
from ._standard import Compensate
from ._state import State
from .coupling import couple
from .rewrites import Compensation, FitOptions, Reconstruction, cut, reconstruct

_RIDGES = FitOptions().ridges


@dataclass(frozen=True)
class Reconstruct:
    """Fit the weights that read what was cut to what the original made; refines the ``plan``.

    Where no inputs can be made, or nothing can be fitted, the known means of what is cut are moved into biases.

    Attributes:
        count: inputs to fit on.
        rows: positions of a result that a fit looks at, at most.
        ridge: pull to the weights as they were; ``auto``: that of several which does best on inputs held out.
        rare: share of the positions drawn in proportion to how unusual the original's value is there.
    """

    name: ClassVar[str] = "reconstruct"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ("reconstruction", "compensation")
    count: int = 64
    rows: int = 20000
    ridge: str = "auto"
    rare: float = 0.5

    def __post_init__(self) -> None:
        if self.count < 1 or self.rows < 1:
            raise UsageError(
                f"reconstruct takes a count and rows of at least 1, not {self.count} and {self.rows}"
            )
        if not 0 <= self.rare <= 1:
            raise UsageError(f"rare={self.rare} is no share", advice="give a number from 0 to 1")
        self._ridges()

    def _ridges(self) -> tuple[float, ...]:
        if self.ridge == "auto":
            return _RIDGES
        try:
            found = float(self.ridge)
        except ValueError:
            found = -1.0
        if not 0 < found < float("inf"):
            raise UsageError(f"ridge={self.ridge} is no strength", advice="give 'auto' or a positive number")
        return (found,)

    def __call__(self, state: State) -> State:
        plan = state.need("plan", self.name)
        if not plan.cuts or self._done(state):
            return state
        inputs = calibration_of(state, self.count)
        found = self._found(state, inputs)
        if found is None or not found.refitted:
            return Compensate()(state.having(reconstruction=found))
        repair = Compensation(found.plan, found.refitted, found.unrepaired, ())
        state = state.having(plan=found.plan, reconstruction=found, compensation=repair, calibration=inputs)
        if state.graph is state.original:
            return state
        return replace(state, graph=cut(state.original, found.plan))

    def _done(self, state: State) -> bool:
        """Return whether the plan came with its repair."""
        before = state.reconstruction
        return before is not None and before.plan is state.plan

    def _found(self, state: State, inputs: Calibration) -> Reconstruction | None:
        if not inputs.fit:
            return None
        how = FitOptions(self.rows, self._ridges(), self.rare, state.progress or _silent)
        opener = state.executor or NumpyExecutor
        return reconstruct(couple(state.original), state.need("plan", self.name), inputs.fit, opener, how)


def _silent(share: float) -> None:
    """Nobody wants to know."""
