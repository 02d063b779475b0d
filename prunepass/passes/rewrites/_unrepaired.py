"""The record of what a repair could not make good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...ir import Array, Atom
from ._deficit import Channels, Deficit, joined


@dataclass
class Unrepaired:
    """Reasons by consumer, and the channels whose cut still changes the outputs.

    Attributes:
        unrepaired: by consumer why its deficit is not made good.
        unknown: names of cut groups whose mean is not known to some consumer, in order.
        inexact: by atom the channels whose cut still changes the outputs, or may, as marks.
    """

    unrepaired: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    inexact: dict[Atom, Array] = field(default_factory=dict)

    def mark(self, channels: Channels) -> None:
        """Record channels whose cut still changes the outputs."""
        self.inexact = joined(self.inexact, channels)

    def lack_statistics(self, consumer: str, groups: Sequence[str]) -> None:
        """Record that the means of cut groups are not known to a consumer."""
        self.unknown.update(dict.fromkeys(groups))
        self.unrepaired[consumer] = f"no statistics say what the mean of {', '.join(groups)} is"

    def fail(self, deficit: Deficit, reason: str) -> None:
        """Record that no param takes a deficit."""
        self.mark(deficit.due)
        self.unrepaired.update(dict.fromkeys(sorted(deficit.consumers), f"nowhere to put it: {reason}"))

    def blur(self, deficit: Deficit, reason: str) -> None:
        """Record what is right on average only; reported of constants, for which it could have been exact."""
        self.mark(deficit.due)
        if deficit.constant:
            self.unrepaired.update(dict.fromkeys(sorted(deficit.consumers), f"on average only: {reason}"))
