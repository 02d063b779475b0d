"""The result of a measurement: values, and their JSON, Markdown and terminal forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..backends import Clock
from ..ir import UsageError
from ._stats import Ratio, Statistics

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")

# trtexec's own limit for calling a measurement unstable.
_STEADY = 0.025
_DIGITS = 6
# Clocks as readers name them, the one that gates first.
CLOCKS: Mapping[Clock, str] = {"device": "GPU", "cpu": "CPU", "wall": "wall"}
_SAME = Ratio(1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine.

    Attributes:
        throughput: inferences a second (trtexec: Throughput, qps).
        wall, cpu: statistics of wall time and of the process' CPU time of an inference.
        device: of the time by a GPU's own clock (trtexec: GPU Compute Time), None where there is none.
        faster_wall, faster_cpu, faster_device: how many times faster than the first engine; 1 for the first.
    """

    name: str
    throughput: float
    wall: Statistics
    cpu: Statistics
    faster_wall: Ratio = _SAME
    faster_cpu: Ratio = _SAME
    device: Statistics | None = None
    faster_device: Ratio | None = None

    def time(self, clock: Clock) -> Statistics:
        """Statistics by ``clock``.

        Raises:
            UsageError: the engine has no such clock.
        """
        return self._by(clock, {"wall": self.wall, "cpu": self.cpu, "device": self.device})

    def faster(self, clock: Clock = "cpu") -> Ratio:
        """The ratio by ``clock``: ``cpu`` for gates (at one thread), ``wall`` for what a user waits.

        Raises:
            UsageError: the engine has no such clock.
        """
        ratios: dict[Clock, Ratio | None] = {
            "wall": self.faster_wall,
            "cpu": self.faster_cpu,
            "device": self.faster_device,
        }
        return self._by(clock, ratios)

    def _by(self, clock: Clock, found: Mapping[Clock, T | None]) -> T:
        value = found[clock]
        if value is None:
            what = f"'{self.name}' was not timed by a {clock}'s clock"
            raise UsageError(what, advice="engines that run on a GPU alone have one")
        return value


@dataclass(frozen=True, slots=True)
class Comparison:
    """Engines measured together; the first is what the others are held against.

    Attributes:
        backend, version: of the engines, with commas where they differ.
        threads: of one inference.
        rounds: interleaved rounds that the ratios are taken over.
        clock: the one that decides, see :meth:`prunepass.backends.Backend.clock`.
    """

    backend: str
    version: str
    threads: int
    rounds: int
    engines: tuple[Measurement, ...]
    clock: Clock = "cpu"

    def __getitem__(self, name: str) -> Measurement:
        return {engine.name: engine for engine in self.engines}[name]

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """The clocks that every engine was timed by."""
        timed = all(engine.device is not None for engine in self.engines)
        return tuple(clock for clock in CLOCKS if clock != "device" or timed)

    def slower(self, clock: Clock | None = None) -> tuple[str, ...]:
        """Names of the engines whose median ratio says that they are slower than the first."""
        by = clock or self.clock
        return tuple(engine.name for engine in self.engines[1:] if engine.faster(by).median < 1)

    def notes(self) -> tuple[str, ...]:
        """Warnings that a reader should know before trusting the figures."""
        shaky = [
            f"{engine.name} {engine.wall.cov:.0%}" for engine in self.engines if engine.wall.cov > _STEADY
        ]
        if not shaky:
            return ()
        return (f"wall time varies by more than {_STEADY:.1%} ({', '.join(shaky)}): trust the ratios",)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, rounded to six significant digits; times in milliseconds, of the clocks there were."""
        plain: dict[str, Any] = _rounded(asdict(self))
        for engine in plain["engines"]:
            for name in [name for name, value in engine.items() if value is None]:
                del engine[name]
        return plain

    def to_json(self) -> str:
        """One JSON document with sorted keys, nothing of the machine in it: equal values give equal text."""
        packed = msgspec.json.encode(self.to_dict(), order="sorted")
        return msgspec.json.format(packed, indent=2).decode() + "\n"

    def markdown(self) -> str:
        """A Markdown table."""
        cells = (_cells(engine, self.clocks) for engine in self.engines)
        rows = [[cell.replace("|", "\\|") for cell in row.values()] for row in cells]
        columns = list(_cells(self.engines[0], self.clocks))
        rows = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def table(self) -> Table:
        """A table for ``rich``."""
        from rich.table import Table
        from rich.text import Text

        table = Table(caption=self._caption(), caption_justify="left")
        for column in _cells(self.engines[0], self.clocks):
            table.add_column(column, justify="left" if column == "engine" else "right")
        for engine in self.engines:
            table.add_row(*(Text(cell) for cell in _cells(engine, self.clocks).values()))
        return table

    def _caption(self) -> str:
        plural = "s" if self.threads != 1 else ""
        first = f"{self.backend} {self.version}, {self.threads} thread{plural}, {self.rounds} rounds"
        return "\n".join((first, *self.notes()))


def _cells(engine: Measurement, clocks: tuple[Clock, ...]) -> dict[str, str]:
    return {
        "engine": engine.name,
        **{f"faster ({CLOCKS[clock]})": _times(engine.faster(clock)) for clock in clocks},
        **{f"{CLOCKS[clock]} ms": f"{engine.time(clock).median:.3f}" for clock in clocks},
        "p90 ms": f"{engine.wall.p90:.3f}",
        "p99 ms": f"{engine.wall.p99:.3f}",
        "qps": f"{engine.throughput:.1f}",
        **{f"CoV {CLOCKS[clock]}": f"{engine.time(clock).cov:.1%}" for clock in clocks},
    }


def _times(ratio: Ratio) -> str:
    return f"{ratio.median:.2f}x ({ratio.p10:.2f}-{ratio.p90:.2f})"


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_rounded(value) for value in data]
    return float(f"{data:.{_DIGITS}g}") if isinstance(data, float) else data
