"""The clock that decides: candidates against the original on the user's own engine, interleaved."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..backends import Backend, Clock, Engine, Feeds, checked, random_feeds, ready
from ..backends import TensorSpec as Spec
from ..hosts import Session
from ..ir import Graph, UsageError
from ._compare import compare
from ._forms import engine_form
from ._result import Comparison

_SECONDS, _ROUNDS, _WARMUP = 1.5, 20, 0.1
# A ratio that shall decide is measured again, longer, where its standard error is above this; at most so long.
_PRECISE, _LONGEST = 0.005, 8.0
_INDIFFERENT = 0.01
NAMES = ("original", "pruned")


@dataclass(frozen=True)
class Setting:
    """An engine as it shall be measured."""

    backend: Backend
    threads: int = 1

    @property
    def clock(self) -> Clock:
        """The clock that decides."""
        return self.backend.clock({"threads": self.threads})

    def facts(self) -> dict[str, Any]:
        """Facts for the options of a plan."""
        return {"backend": self.backend.name, "threads": self.threads}


def setting_of(backend: str | Backend, threads: int = 1) -> Setting:
    """The backend by name or as it is, able to build here.

    Raises:
        UsageError: there is none of that name.
        BackendError: it is not available.
    """
    found = ready(backend) if isinstance(backend, str) else backend
    if not hasattr(found, "unavailable"):
        raise UsageError(
            f"{backend!r} is no backend", advice="give a name or an object of prunepass.backends"
        )
    return Setting(checked(found), threads)


class EngineClock:
    """Holds candidates against the original, whose engine is built once; a context manager."""

    def __init__(
        self, setting: Setting, session: Session, original: Any, inputs: Any, *, seconds: float = _SECONDS
    ) -> None:
        self.setting, self._session, self._original = setting, session, original
        self._inputs, self._seconds = inputs, seconds
        self._stack = ExitStack()
        self._made = 0

    def __enter__(self) -> EngineClock:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="prunepass-")))
            self._engine = stack.enter_context(self._build(self._original))
            self._feeds = _feeds(self._session, self._engine.inputs)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def compare(self, model: Any, *, precise: bool = True) -> Comparison:
        """The original and ``model``, named as in ``NAMES``; again and longer where the rounds scatter."""
        with self._build(model) as engine:
            found = self._measured(engine, self._seconds)
            excess = standard_error(found, self.setting.clock) / _PRECISE
            if precise and excess > 1:
                found = self._measured(engine, min(self._seconds * excess**2, _LONGEST))
            return found

    def _measured(self, engine: Engine, seconds: float) -> Comparison:
        found = compare(
            [self._engine, engine],
            names=NAMES,
            feeds=self._feeds,
            threads=self.setting.threads,
            duration=seconds,
            iterations=_ROUNDS,
            warmup=_WARMUP,
        )
        # Engines know their backend without the options that it was named with.
        return replace(found, backend=self.setting.backend.name, clock=self.setting.clock)

    def _build(self, model: Any) -> Engine:
        self._made += 1
        form = engine_form(model, self._inputs, self.setting.backend, self._folder / f"model{self._made}")
        return self.setting.backend.build(form, options={"threads": self.setting.threads})


def _feeds(session: Session, wanted: tuple[Spec, ...]) -> Feeds | None:
    """The user's example inputs, or made up ones of the captured shapes; None where the engine's names differ."""
    graph: Graph = session.graph
    names = {spec.name for spec in wanted}
    given = session.feeds()
    if given is not None and set(given) == names:
        return given
    if set(graph.inputs) != names:
        return None
    return random_feeds(
        [Spec(name, graph.values[name].shape, graph.values[name].dtype) for name in graph.inputs]
    )


def fraction(comparison: Comparison, clock: Clock) -> float:
    """The time of the second engine over that of the first: the median of interleaved rounds."""
    return 1.0 / float(comparison.engines[1].faster(clock).median)


def standard_error(comparison: Comparison, clock: Clock) -> float:
    """Of the median ratio, relative to it.

    The median of n rounds has a standard error of about 1.25 deviations over sqrt(n), and from the 10th to the
    90th percentile there are 2.56 deviations.
    """
    ratio = comparison.engines[1].faster(clock)
    deviation = (ratio.p90 - ratio.p10) / 2.56
    return 1.25 * deviation / sqrt(max(comparison.rounds, 1)) / ratio.median


def is_slower(comparison: Comparison, clock: Clock) -> bool:
    """Return whether the second engine is slower by more than two standard errors and more than a percent.

    Interleaving itself can favour one of two equal engines by part of a percent, however long one measures.
    """
    median = comparison.engines[1].faster(clock).median
    return median * (1 + max(2 * standard_error(comparison, clock), _INDIFFERENT)) < 1


@dataclass(frozen=True)
class LatencyRound:
    """One candidate of a search: its predicted and its measured time over the original's."""

    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Error of the prediction, relative to the measurement."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class LatencyReport:
    """Record of a latency budget and how it was met.

    Attributes:
        budget: fraction of the original's time that may stay.
        target: name of the target, empty where there was none.
        probes: whole networks measured to fit the model before the first round.
        rounds: candidates in the order in which they were measured.
        accepted: position in ``rounds`` of the one that was taken.
    """

    budget: float
    backend: str
    version: str
    threads: int
    clock: Clock
    target: str
    probes: int
    rounds: tuple[LatencyRound, ...]
    accepted: int

    @property
    def measured(self) -> float:
        return self.rounds[self.accepted].measured

    @property
    def error(self) -> float:
        """Prediction error of the accepted round."""
        return self.rounds[self.accepted].error

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "measured": self.measured, "error": self.error}
