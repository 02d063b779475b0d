"""One row of a sweep: figures of a candidate, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..measure import Comparison
from ..passes import Proof
from ._grid import Candidate
from ._shared import Shared

MODEL, PLAN, REPORT = "model.onnx", "plan.json", "report.json"


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Setup of a sweep: how candidates are made and measured. Figures of different setups cannot be compared.

    Attributes:
        backend: name and version. threads, duration: of the timing, seconds.
        keep: layers that are left alone.
        accuracy: a command whose last line is a number, ``{model}`` in it being the file; empty without.
        policy, driver, repair, ratios, task: of every prune, see :class:`Shared`; empty where not given.
    """

    backend: str
    version: str
    threads: int = 1
    duration: float = 3.0
    keep: tuple[str, ...] = ()
    accuracy: str = ""
    policy: str = ""
    driver: str = ""
    repair: str = ""
    ratios: Mapping[str, float] = {}
    task: str = ""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One candidate.

    Attributes:
        kept: fractions of the original's costs that stayed.
        change: share lost of the outputs on synthetic inputs, see :func:`prunepass.passes.output_change`.
        proof: as the prune found it.
        widths: (group, size, kept) of the prunable groups.
        timing: the original and the candidate, measured together.
        accuracy: what the user's command printed, or the task's ``evaluate`` gave.
        rule, reason: why there is no candidate; ``rule`` as in messages of the command line.
    """

    candidate: Candidate
    kept: Mapping[str, float] = {}
    change: float | None = None
    proof: Proof | None = None
    widths: tuple[tuple[str, int, int], ...] = ()
    timing: Comparison | None = None
    accuracy: float | None = None
    rule: str = ""
    reason: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.reason)

    @property
    def final(self) -> bool:
        """Return whether trying again would give the same: it is measured, or the budget or the proof refused it."""
        return self.timing is not None or self.rule in ("budget", "proof")


@dataclass(frozen=True, slots=True)
class Job:
    """One candidate of the ONNX file ``model``; its files go to ``folder / candidate.key``."""

    model: Path
    folder: Path
    candidate: Candidate
    setup: Setup
    shared: Shared = field(default_factory=Shared)

    @property
    def place(self) -> Path:
        return self.folder / self.candidate.key
