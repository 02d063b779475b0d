"""The result of a measurement: values, and their JSON, Markdown and terminal forms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ._stats import Ratio, Statistics

if TYPE_CHECKING:
    from rich.table import Table

Clock = Literal["wall", "cpu"]

# trtexec's own limit for calling a measurement unstable.
_STEADY = 0.025
_DIGITS = 6
_RATIOS = ("faster (CPU)", "faster (wall)")
_COLUMNS = ("engine", *_RATIOS, "CPU ms", "wall ms", "p90 ms", "p99 ms", "qps", "CoV CPU", "CoV wall")
_SAME = Ratio(1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine.

    Attributes:
        throughput: inferences a second (trtexec: Throughput, qps).
        wall, cpu: statistics of wall time and of the process' CPU time of an inference.
        faster_wall, faster_cpu: how many times faster than the first engine; 1 for the first.
    """

    name: str
    throughput: float
    wall: Statistics
    cpu: Statistics
    faster_wall: Ratio = _SAME
    faster_cpu: Ratio = _SAME

    def faster(self, clock: Clock = "cpu") -> Ratio:
        """The ratio by ``clock``: ``cpu`` for gates (at one thread), ``wall`` for what a user waits."""
        return self.faster_cpu if clock == "cpu" else self.faster_wall


@dataclass(frozen=True, slots=True)
class Comparison:
    """Engines measured together; the first is what the others are held against.

    Attributes:
        backend, version: of the engines, with commas where they differ.
        threads: of one inference.
        rounds: interleaved rounds that the ratios are taken over.
    """

    backend: str
    version: str
    threads: int
    rounds: int
    engines: tuple[Measurement, ...]

    def __getitem__(self, name: str) -> Measurement:
        return {engine.name: engine for engine in self.engines}[name]

    def slower(self, clock: Clock = "cpu") -> tuple[str, ...]:
        """Names of the engines whose median ratio says that they are slower than the first."""
        return tuple(engine.name for engine in self.engines[1:] if engine.faster(clock).median < 1)

    def notes(self) -> tuple[str, ...]:
        """What a reader should know before trusting the figures."""
        shaky = [
            f"{engine.name} {engine.wall.cov:.0%}" for engine in self.engines if engine.wall.cov > _STEADY
        ]
        if not shaky:
            return ()
        return (f"wall time varies by more than {_STEADY:.1%} ({', '.join(shaky)}): trust the ratios",)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, rounded to six significant digits; times in milliseconds."""
        plain: dict[str, Any] = _rounded(asdict(self))
        return plain

    def to_json(self) -> str:
        """One JSON document with sorted keys, nothing of the machine in it: equal values give equal text."""
        packed = msgspec.json.encode(self.to_dict(), order="sorted")
        return msgspec.json.format(packed, indent=2).decode() + "\n"

    def markdown(self) -> str:
        """A Markdown table."""
        rows = [[cell.replace("|", "\\|") for cell in _cells(engine)] for engine in self.engines]
        rows = [list(_COLUMNS), ["---", *["---:"] * (len(_COLUMNS) - 1)], *rows]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def table(self) -> Table:
        """A table for ``rich``."""
        from rich.table import Table
        from rich.text import Text

        table = Table(caption=self._caption(), caption_justify="left")
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == "engine" else "right")
        for engine in self.engines:
            table.add_row(*(Text(cell) for cell in _cells(engine)))
        return table

    def _caption(self) -> str:
        plural = "s" if self.threads != 1 else ""
        first = f"{self.backend} {self.version}, {self.threads} thread{plural}, {self.rounds} rounds"
        return "\n".join((first, *self.notes()))


def _cells(engine: Measurement) -> tuple[str, ...]:
    return (
        engine.name,
        _times(engine.faster_cpu),
        _times(engine.faster_wall),
        f"{engine.cpu.median:.3f}",
        f"{engine.wall.median:.3f}",
        f"{engine.wall.p90:.3f}",
        f"{engine.wall.p99:.3f}",
        f"{engine.throughput:.1f}",
        f"{engine.cpu.cov:.1%}",
        f"{engine.wall.cov:.1%}",
    )


def _times(ratio: Ratio) -> str:
    return f"{ratio.median:.2f}x ({ratio.p10:.2f}-{ratio.p90:.2f})"


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_rounded(value) for value in data]
    return float(f"{data:.{_DIGITS}g}") if isinstance(data, float) else data
