"""Contents of a report as one value: from a prune, an analysis or a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..drivers import unread_note

if TYPE_CHECKING:
    from .._analyze import Analysis
    from ..backends import Clock
    from ..drivers import DrawnLayer, GroupRow, HostCheck, LayerRow, Report
    from ..measure import Comparison, Ratio
    from ..passes import Cost, Proof
    from ._engine import EngineView

# Groups that could not be repaired, by name; a large network without statistics has hundreds.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate of several that were tried.

    Attributes:
        name: what tells it from the others, such as ``macs=0.6 dfpc align 8``.
        kept: fraction of the multiply-accumulates that stayed; None where it failed.
        faster: time of the original over that of the candidate, by the page's clock; None where it was not measured.
        quality: on the page's quality axis; None where there is none.
        worst: worst relative error of its proof.
        reason: why it failed, empty where it did not.
        files: what was kept of it, by name, as paths beside the page.
        widths: (size, kept) of its prunable groups.
    """

    name: str
    kept: float | None = None
    faster: Ratio | None = None
    quality: float | None = None
    worst: float | None = None
    reason: str = ""
    files: tuple[str, ...] = ()
    widths: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of trials: its name and direction.

    Attributes:
        name: of the axis, with its unit.
        rising: whether more is better.
        meaning: what it is and what it is not, in a sentence or two.
        original: of the original; None where it is not known.
    """

    name: str
    rising: bool
    meaning: str
    original: float | None = None


@dataclass(frozen=True)
class Page:
    """A report. What is None or empty was not given or not measured, and is left out or said to be so.

    Attributes:
        before, after: costs; ``after`` is None where nothing was cut.
        notes: sentences on how it was done.
        timing: the original and the pruned model, measured together.
        latency: rounds of a search for a latency budget: ``rounds``, each with ``predicted`` and ``measured``.
        accuracy: (before, after) by the name of a measure.
        engines: what the engine made of the original and of the pruned model.
        trials, quality: candidates that were tried, and what they are compared by.
        clock: that the trials were timed by.
        layers: multiply-accumulates layer by layer.
        wiring: the network as it is drawn.
    """

    title: str
    before: Cost
    after: Cost | None = None
    groups: tuple[GroupRow, ...] = ()
    notes: tuple[str, ...] = ()
    proof: Proof | None = None
    host: HostCheck | None = None
    timing: Comparison | None = None
    latency: Any = None
    accuracy: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    engines: tuple[EngineView, ...] = ()
    trials: tuple[Trial, ...] = ()
    quality: Quality | None = None
    clock: Clock = "cpu"
    layers: tuple[LayerRow, ...] = ()
    wiring: tuple[DrawnLayer, ...] = ()


def page_of(
    report: Report,
    *,
    title: str | None = None,
    timing: Comparison | None = None,
    accuracy: Mapping[str, tuple[float, float]] | None = None,
    engines: Sequence[EngineView] = (),
) -> Page:
    """The page of one prune.

    Args:
        title: the model's name unless given.
        timing: of (original, pruned); that of the report unless given.
        accuracy: (before, after) by the name of a measure.
        engines: of the original and of the pruned model, see :func:`engine_view`.
    """
    return Page(
        title=report.model if title is None else title,
        before=report.before,
        after=report.after,
        groups=report.groups,
        layers=report.layers,
        wiring=report.wiring,
        notes=_notes(report),
        proof=report.proof,
        host=report.host,
        timing=getattr(report, "timing", None) if timing is None else timing,
        latency=getattr(report, "latency", None),
        accuracy=dict(accuracy or {}),
        engines=tuple(engines),
    )


def page_of_analysis(found: Analysis, *, title: str | None = None) -> Page:
    """The page of a model that nothing was cut of."""
    name = found.model if title is None else title
    return Page(title=name, before=found.cost, groups=found.rows(), notes=_unread(found.unread))


def _unread(names: Sequence[str]) -> tuple[str, ...]:
    note = unread_note(names)
    return (f"{note[:1].upper()}{note[1:]}.",) if note else ()


def _notes(report: Report) -> tuple[str, ...]:
    fitted = getattr(report, "fitted", "")
    changes = ", ".join(f"{name} {change:.3g}" for name, change in sorted(report.changes.items()))
    tried = f"; output change on synthetic inputs of each candidate: {changes}" if changes else ""
    notes = [f"Channels were chosen by the score “{report.score}”{tried}."] if report.score else []
    if report.change is not None:
        where = "on inputs held out from the fit" if fitted else "on synthetic inputs"
        notes.append(f"Share lost of the channels of the outputs {where}: {report.change}.")
    if fitted:
        notes.append(f"Repair: {fitted}.")
    if (report.repaired or report.unrepaired) and not fitted:
        notes.append(f"Biases took over the means of {len(report.repaired)} cut groups.")
    if report.host is not None and report.host.drawn:
        drawn = ", ".join(report.host.drawn)
        notes.append(
            f"Outputs that depend on random numbers were proven, in the host their shapes alone: {drawn}."
        )
    left = [f"Not repaired: {name}: {why}." for name, why in sorted(report.unrepaired.items())]
    notes += left[:_SHOWN]
    if len(left) > _SHOWN:
        notes.append(
            f"Not repaired: {len(left) - _SHOWN} more; the report in JSON names each with its reason."
        )
    notes += [f"{note[:1].upper()}{note[1:]}." for note in report.notes()]
    return tuple(notes)
