"""A sweep as a page."""

from __future__ import annotations

from ..backends import Clock
from ..report import Page, Quality, Trial
from ._row import MODEL, PLAN, Row
from ._sweep import Sweep

_CHANGE = Quality(
    "output change",
    rising=False,
    meaning="Quality here is how much the outputs change on synthetic inputs (layers of overlapping discs where an "
    "input looks like an image, noise elsewhere): squared difference over squared deviation, 0 is no change. No data "
    "was used. It is no accuracy: it orders candidates of one model roughly, before anything is fine-tuned.",
    original=0.0,
)


def page_of_sweep(found: Sweep, *, beside: str = ".") -> Page:
    """The page.

    Args:
        beside: the sweep's folder as seen from where the page will be; its links go there.
    """
    quality = _CHANGE
    if found.setup.accuracy or found.accuracy is not None:
        first = f"{found.accuracy:.6g}" if found.accuracy is not None else "unknown"
        by = "command prints" if found.setup.accuracy else "function returns"
        meaning = f"Accuracy is what the given {by} for each candidate; for the original, {first}."
        quality = Quality("accuracy", rising=True, meaning=meaning, original=found.accuracy)
    return Page(
        title=found.model,
        before=found.before,
        trials=tuple(_trial(row, quality, beside) for row in found.rows),
        quality=quality,
        notes=_notes(found),
        clock=clock_of(found),
    )


def clock_of(found: Sweep) -> Clock:
    """The clock that decided between the candidates; they were all measured alike."""
    clocks: list[Clock] = [row.timing.clock for row in found.rows if row.timing is not None]
    return clocks[0] if clocks else "cpu"


def _trial(row: Row, quality: Quality, beside: str) -> Trial:
    made = not row.failed
    return Trial(
        name=row.candidate.name,
        kept=row.kept.get("macs"),
        faster=row.timing.engines[1].faster(row.timing.clock) if row.timing is not None else None,
        quality=row.accuracy if quality.rising else row.change,
        worst=row.proof.worst if row.proof is not None else None,
        reason=row.reason,
        files=tuple(f"{beside}/{row.candidate.key}/{name}" for name in (MODEL, PLAN)) if made else (),
        widths=tuple((size, kept) for _, size, kept in row.widths),
    )


def _notes(found: Sweep) -> tuple[str, ...]:
    setup = found.setup
    threads = f"{setup.threads} thread{'s' * (setup.threads != 1)}"
    return (
        f"Every candidate was pruned, proven equal to the masked original, and timed against it on {setup.backend} "
        f"{setup.version}, {threads}, in interleaved rounds, while nothing else of the sweep ran on that machine.",
    )
