"""Gates that a plan promises by its own options: one that is gone or senseless is said, never passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ._finding import GONE, Finding

if TYPE_CHECKING:
    from ..passes import Budget, Grain, Plan

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Multiple = Annotated[int, msgspec.Meta(ge=1)]
_Step = Annotated[float, msgspec.Meta(ge=1)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Promised(msgspec.Struct, frozen=True):
    """Options of a plan that ``check`` holds; ``budget`` and ``align`` are None where they are gone.

    Attributes:
        budget, align, grain, minimum, floor, mode: as the policy had them.
        backend, threads: what a latency budget was measured on.
    """

    budget: str | None = None
    align: _Multiple | None = None
    grain: dict[str, _Step] = {}
    minimum: _Count = 0
    floor: _Share = 0.0
    mode: str = "global"
    backend: str | None = None
    threads: _Multiple = 1

    def limits(self) -> Budget | None:
        """The budget, None where the plan has lost it."""
        from ..passes import Budget

        return None if self.budget is None else Budget.parse(self.budget)

    def widths(self) -> Grain | None:
        """The grain, None where the plan has lost it."""
        from ..passes import Grain

        return None if self.align is None else Grain(self.align, dict(self.grain), self.minimum)


def promised(plan: Plan) -> Promised:
    """Read and hold against sense what ``plan`` says of its own making.

    Raises:
        UsageError: a value is of another type or out of all bounds.
    """
    from ..ir import UsageError
    from ..passes import Budget

    options: dict[str, Any] = dict(plan.options)
    try:
        found = msgspec.convert(options, Promised, strict=True)
    except msgspec.ValidationError as error:
        said = str(error).replace("$", "options", 1)
        raise UsageError(f"the plan's options make no sense: {said}", advice=GONE) from error
    if found.budget is not None:
        Budget.parse(found.budget)
    return found


def floor_kept(plan: Plan, floor: float) -> list[Finding]:
    """Every group that was cut must keep the fraction that the plan was made with."""
    wrong = [
        Finding(
            "floor",
            False,
            f"keeps {cut.size - len(cut.remove)} of {cut.size} channels, the floor is {floor:g}",
            name,
        )
        for name, cut in sorted(plan.cuts.items())
        if cut.size - len(cut.remove) < floor * cut.size
    ]
    if wrong or not floor:
        return wrong
    return [Finding("floor", True, f"every group keeps at least {floor:g} of its channels")]
